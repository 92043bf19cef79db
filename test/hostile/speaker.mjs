// The attacker's BGP speaker: connects (or listens), sends the given messages and prints what happens, one JSON object
// per line. Usage: node speaker.mjs FILE. The file is a JSON object with the fields of `Conversation` in
// test/hostile/bgp.ts.
import { readFileSync } from 'node:fs';
import net from 'node:net';

const { host, port, open, updates, listen, localAddress, isHasty } = JSON.parse(
  readFileSync(process.argv[2], 'utf8'),
);
const KEEPALIVE = `${'ff'.repeat(16)}001304`;
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);

if (listen) net.createServer(talk).listen(port, host, () => say('listening'));
else {
  const socket = net.connect({ host, port, localAddress });
  // The kernel would repeat a SYN that is dropped for minutes.
  const timer = setTimeout(() => {
    say('timeout');
    socket.destroy();
  }, 1500);
  socket.once('connect', () => {
    clearTimeout(timer);
    say('connected');
    talk(socket);
  });
  socket.once('error', (error) => {
    clearTimeout(timer);
    say('failed', { code: error.code });
  });
}

function talk(socket) {
  let buffer = Buffer.alloc(0);
  let isUp = false;
  const send = (hex) => socket.write(Buffer.from(hex, 'hex'));
  socket.setNoDelay(true);
  socket.on('error', (error) => say('failed', { code: error.code }));
  socket.on('close', () => say('closed'));
  socket.on('data', (chunk) => {
    buffer = Buffer.concat([buffer, chunk]);
    while (buffer.length >= 19 && buffer.length >= buffer.readUInt16BE(16)) {
      const length = buffer.readUInt16BE(16);
      receive(buffer.subarray(18, length));
      buffer = buffer.subarray(length);
    }
  });
  if (open) send(open);
  if (isHasty) for (const message of [KEEPALIVE, ...updates]) send(message);

  function receive(message) {
    const type = ['', 'OPEN', 'UPDATE', 'NOTIFICATION', 'KEEPALIVE', 'ROUTE-REFRESH'][message[0]];
    say(type, type === 'NOTIFICATION' ? { code: message[1], subcode: message[2] } : {});
    if (type === 'OPEN') send(KEEPALIVE);
    if (type !== 'KEEPALIVE' || isUp) return;
    isUp = true;
    say('Established');
    if (!isHasty) for (const update of updates) send(update);
    setInterval(() => send(KEEPALIVE), 20_000);
  }
}
