/** BGP sessions of a lab's mesh: attackers with a node's address, and the life cycle of a Secret. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestLab, until } from '../helpers/lab.ts';

const nodes = ['node1', 'node2', 'node3'];
const addresses = { 4: '172.18.0.12', 6: 'fd00:172:18::12' } as const;

/** A program that connects, sends KEEPALIVE after an OPEN that the mesh would accept, and reports the response. */
const attack = (target: string) => `
const net = require('node:net');
const open = 'ffffffffffffffffffffffffffffffff002b0104fc00005a01010101' + '0e' + '020c' + '010400010001' + '41040000fc00';
const keepalive = 'ffffffffffffffffffffffffffffffff001304';
const socket = net.connect({ host: '${target}', port: 179 });
let received = 0;
socket.on('data', (chunk) => (received += chunk.length));
socket.on('connect', () => socket.write(Buffer.from(open + keepalive, 'hex')));
const end = (why) => { console.log(JSON.stringify({ why, received })); process.exit(); };
socket.on('close', () => end('closed'));
socket.on('error', (error) => end(error.code));
setTimeout(() => end('timeout'), 3000);
`;

describe('BGP sessions between the nodes of a lab', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.start(['--nodes', '3', '--pods', '1']);
  });
  afterAll(() => lab?.stop());

  const peers = () => nodes.flatMap((node) => lab.status(node).bgp.peers);
  const isUp = () => peers().every(({ state }) => state === 'Established');
  const pids = () => nodes.map((node) => lab.status(node).pid);
  /** Creates, changes or deletes Secret bgp. */
  const secret = (method: 'POST' | 'PUT' | 'DELETE', password = '') => {
    const object = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'bgp', namespace: 'kube-system' },
      data: { mesh: Buffer.from(password).toString('base64') },
    };
    const script = `
      const { readFileSync } = require('node:fs');
      const [server] = /http:\\S+/.exec(readFileSync(process.env.KUBECONFIG, 'utf8'));
      const url = server + '/api/v1/namespaces/kube-system/secrets${method === 'POST' ? '' : '/bgp'}';
      const body = ${method === 'DELETE' ? 'undefined' : `'${JSON.stringify(object)}'`};
      fetch(url, { method: '${method}', body, headers: { 'content-type': 'application/json' } })
        .then(async (answer) => answer.ok || (console.error(await answer.text()), process.exit(1)));`;
    const { code, stderr } = lab.exec('node1', process.execPath, '-e', script);
    expect([code, stderr]).toEqual([0, '']);
  };
  const mesh = (key: string | undefined) =>
    lab.apply(
      'BGPConfiguration',
      'default',
      key === undefined ? {} : { nodeMeshPassword: { secretKeyRef: { name: 'bgp', key } } },
    );

  it('require TTL 255 from nodes in the same subnet', async () => {
    await until('all sessions are up with ttlSecurity', 60_000, () =>
      peers().every(({ state, config }) => state === 'Established' && config.ttlSecurityHops === 1),
    );
    expect(peers()).toHaveLength(12);
    expect(lab.sh('node1', 'calictl get nodes -o yaml').match(/BGPTTLSecurity: "1"/g)).toHaveLength(3);
  });

  it('ignore packets that have passed a router, and lose nothing by them', async () => {
    const before = peers().map(({ flaps, since }) => ({ flaps, since }));
    // The best TTL of a pod's packet that its node has forwarded and masqueraded.
    lab.sh('node1', 'echo 254 > /proc/sys/net/ipv4/ip_default_ttl');
    lab.sh('node1', 'for f in /proc/sys/net/ipv6/conf/*/hop_limit; do echo 254 > $f; done');
    for (const target of Object.values(addresses)) {
      const far = JSON.parse(lab.exec('node1', process.execPath, '-e', attack(target)).stdout);
      expect(far.received).toBe(0);
      const pod = JSON.parse(lab.exec('node1-a', process.execPath, '-e', attack(target)).stdout);
      expect(pod.received).toBe(0);
    }
    expect(peers().map(({ flaps, since }) => ({ flaps, since }))).toEqual(before);
    // The TTL was the reason: with 255, the packets are indistinguishable from the node's own.
    lab.sh('node1', 'echo 255 > /proc/sys/net/ipv4/ip_default_ttl');
    const near = JSON.parse(lab.exec('node1', process.execPath, '-e', attack(addresses[4])).stdout);
    expect(near.received).toBeGreaterThan(19);
    lab.sh('node1', 'echo 64 > /proc/sys/net/ipv4/ip_default_ttl');
    await until('all sessions are up', 60_000, isUp);
  });

  it('wait for their Secret, and use each new password when a node comes back', async () => {
    const agents = pids();
    secret('POST', 'one');
    mesh('mesh');
    await until('all sessions are up', 60_000, isUp);
    secret('PUT', 'two');
    await lab.ask({ do: 'node kill', name: 'node2' });
    await lab.ask({ do: 'node start', name: 'node2' });
    await until('all sessions are up after the change of the password', 60_000, isUp);
    expect([lab.status('node1').pid, lab.status('node3').pid]).toEqual([agents[0], agents[2]]);
  });

  it('keep the previous password when the Secret becomes unusable or is deleted, and report why', async () => {
    const agents = pids();
    const warned = (text: string) => () =>
      peers().every(({ state, warning }) => state === 'Established' && warning?.includes(text));
    for (const [password, text] of [
      ['x'.repeat(81), 'the password has 81 octets'],
      ['', 'the password is empty'],
      ['a\0b', 'contains a NUL octet'],
    ] as const) {
      secret('PUT', password);
      await until(`every session warns: ${text}`, 60_000, warned(text));
    }
    expect(lab.sh('node1', 'calictl node status')).toContain('contains a NUL octet');
    secret('DELETE');
    await until(
      'every session warns that the Secret does not exist',
      60_000,
      warned('Secret kube-system/bgp does not exist'),
    );
    expect(pids()).toEqual(agents);
    // A node that never had a valid password keeps its sessions down rather than use a wrong key.
    secret('POST', 'x'.repeat(81));
    await lab.ask({ do: 'node kill', name: 'node2' });
    await lab.ask({ do: 'node start', name: 'node2' });
    await until('node2’s sessions are Idle and report the password’s length', 60_000, () =>
      lab
        .status('node2')
        .bgp.peers.every(({ state, lastError }) => state === 'Idle' && lastError?.includes('81 octets')),
    );
    secret('PUT', 'two');
    await until('all sessions are up again', 60_000, isUp);
    expect(await lab.unreachable()).toEqual([]);
  });
});
