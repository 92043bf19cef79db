/**
 * `npm run lab -- debug NODE`: opens the inspector of a node's agent, forwards a port of this machine to it, and closes
 * both when the command ends. The agent listens on loopback of its own network namespace.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { CodedError, messageOf } from '../lib/errors.ts';
import { closeInspector, debuggerPath } from './inspector.ts';
import { askLab, execCommand } from './outside.ts';

const HOST = '127.0.0.1';
/** Port on which Node opens the inspector after SIGUSR1. */
const AGENT_PORT = 9229;

/** Program inside the node's namespace: connects standard input and output to the inspector. */
const BRIDGE = `const socket = require('node:net').connect(${AGENT_PORT}, '${HOST}');
process.stdin.pipe(socket).pipe(process.stdout);
socket.on('error', () => process.exit(1)).on('close', () => process.exit());
process.stdin.on('error', () => process.exit(1));
process.stdout.on('error', () => process.exit(1));`;

/** Resolves when SIGINT, SIGTERM or SIGHUP has ended the session and the inspector is closed. */
export async function debugAgent(node: string, port: number, print: (text: string) => void): Promise<void> {
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  await askLab({ do: 'node debug', name: node });
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.on('close', () => clients.delete(socket));
    forward(socket, node);
  });
  await listen(server, port);
  try {
    const url = `${HOST}:${port}${await debuggerPath(HOST, port)}`;
    print(
      `The agent of ${node} accepts debuggers on ${HOST}:${port} until Ctrl-C.\n` +
        `  Chrome   devtools://devtools/bundled/js_app.html?experiments=true&v8only=true&ws=${url}\n` +
        '  VS Code  Run and Debug: "Agent in the lab"',
    );
    await interrupted;
    // An agent at a breakpoint continues when its debugger disconnects.
    for (const client of clients) client.destroy();
    // The agent may have ended, or its lab.
    await closeInspector(HOST, port).catch(() => undefined);
  } finally {
    for (const client of clients) client.destroy();
    server.close();
  }
}

function forward(socket: Socket, node: string): void {
  const [file, ...args] = execCommand(node, [process.execPath, '-e', BRIDGE]);
  const child = spawn(file!, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  child.on('error', () => socket.destroy());
  child.stdin.on('error', () => socket.destroy());
  socket.on('error', () => socket.destroy());
  // The bridge ends with its input.
  socket.on('close', () => child.stdin.destroy());
  socket.pipe(child.stdin);
  child.stdout.pipe(socket);
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, HOST);
  await once(server, 'listening').catch((error: unknown) => {
    throw new CodedError('PORT', `port ${port}: ${messageOf(error)}. Choose another with --port.`);
  });
}
