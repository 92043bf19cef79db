/** Netlink sockets against the real kernel, in network namespaces of their own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { afterEach, describe, expect, it } from 'vitest';
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST } from '../../kernel/netlink/constants.ts';
import { dump } from '../../kernel/netlink/dump.ts';
import type { Message } from '../../kernel/netlink/message.ts';
import { inNamespace } from '../../kernel/netlink/namespace.ts';
import { type NotificationOptions, Notifications } from '../../kernel/netlink/notifications.ts';
import { Requester } from '../../kernel/netlink/request.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../kernel/netlink/socket.ts';
import type { WriteRequest } from '../../kernel/netlink/write-request.ts';
import { until } from '../helpers/lab.ts';
import { NetworkNamespace } from '../helpers/network-namespace.ts';

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
});

function namespace(): NetworkNamespace {
  const made = new NetworkNamespace();
  cleanUps.push(() => made.remove());
  return made;
}

function open(netns: NetworkNamespace): NetlinkSocket {
  const socket = new NetlinkSocket({ protocol: NETLINK_ROUTE, netns: netns.path });
  cleanUps.push(() => socket.close());
  return socket;
}

describe('requests', () => {
  it('Refused messages in the middle of a batch are reported one by one, and the rest is programmed.', async () => {
    const netns = namespace();
    netns.batch(['route add blackhole 10.99.0.5', 'route add blackhole 10.99.1.44']);
    const requester = new Requester(open(netns));
    const failures = await requester.run(Array.from({ length: 1000 }, (_, i) => blackhole(RTM_NEWROUTE, i)));
    expect(failures).toEqual([
      { index: 5, code: 'EEXIST', message: 'File exists' },
      { index: 300, code: 'EEXIST', message: 'File exists' },
    ]);
    expect(netns.ip('route show type blackhole').trim().split('\n')).toHaveLength(1000);
  });

  it('A refusal has the kernel’s explanation.', async () => {
    const [failure] = await new Requester(open(namespace())).run([malformedRoute]);
    expect(failure).toMatchObject({ code: 'EINVAL', message: 'Invalid prefix for given prefix length' });
  });

  it('100,000 routes never keep the event loop for long.', async () => {
    const netns = namespace();
    const requester = new Requester(open(netns));
    const gaps: number[] = [];
    let last = performance.now();
    let isDone = false;
    const beat = () => {
      const now = performance.now();
      gaps.push(now - last);
      last = now;
      if (!isDone) setImmediate(beat);
    };
    setImmediate(beat);
    const requests = Array.from({ length: 100_000 }, (_, i) => blackhole(RTM_NEWROUTE, i));
    expect(await requester.run(requests)).toEqual([]);
    isDone = true;
    gaps.sort((a, b) => a - b);
    // Bound by the chunk, not by the machine: half of the turns are far shorter than the whole batch.
    expect(gaps.length).toBeGreaterThan(100_000 / 256);
    expect(gaps[Math.floor(gaps.length * 0.9)]).toBeLessThan(20);
  });

  it('A namespace that disappears ends its sockets’ use, not the thread’s stay in its own.', async () => {
    const netns = new NetworkNamespace();
    const requester = new Requester(open(netns));
    expect(await requester.run([blackhole(RTM_NEWROUTE, 1)])).toEqual([]);
    const own = readlinkSync('/proc/thread-self/ns/net');
    netns.remove();
    // The socket keeps the namespace alive until it closes.
    expect(await requester.run([blackhole(RTM_NEWROUTE, 2)])).toEqual([]);
    expect(() => open(netns)).toThrow(/cannot be opened/);
    expect(() => inNamespace('/proc/version', () => 1)).toThrow(/cannot be entered: Invalid argument/);
    expect(readlinkSync('/proc/thread-self/ns/net')).toBe(own);
  });

  it('A FIFO in place of a namespace is refused at once, also without a writer.', async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'cali-fifo-'));
    cleanUps.push(() => rmSync(folder, { recursive: true }));
    const fifo = path.join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const { status, stderr } = await runProgram(`
      import { inNamespace } from './kernel/netlink/namespace.ts';
      inNamespace(${JSON.stringify(fifo)}, () => 1);
    `);
    expect(stderr).toMatch(/cannot be entered: Invalid argument/);
    expect(status).toBe(1);
  });
});

describe('dumps', () => {
  it('10,000 routes are read completely.', async () => {
    const netns = namespace();
    await new Requester(open(netns)).run(
      Array.from({ length: 10_000 }, (_, i) => blackhole(RTM_NEWROUTE, i)),
    );
    const found = await dump(
      () => open(netns),
      request(RTM_NEWROUTE + 2, 12, 2),
      ({ body }) => (body[7] === 6 ? body.length : undefined),
    );
    expect(found).toHaveLength(10_000);
  });

  it('A dump that a change interrupted starts again, and returns a consistent list.', async () => {
    const netns = namespace();
    await new Requester(open(netns)).run(Array.from({ length: 150 }, (_, i) => bridge(i)));
    let sockets = 0;
    let change = 0;
    const names = await dump(
      () => {
        sockets++;
        return open(netns);
      },
      request(RTM_GETLINK, 16, 0),
      (message) => {
        // A new link in the middle of the first two attempts.
        if (sockets > change && change < 2) netns.ip(`link add late${change++} type bridge`);
        return nameOf(message);
      },
    );
    expect(sockets).toBe(3);
    expect(new Set(names).size).toBe(153);
    expect(names).toEqual(expect.arrayContaining(['lo', 'b0', 'b149', 'late0', 'late1']));
  });
});

describe('notifications', () => {
  function watch(netns: NetworkNamespace, options: NotificationOptions = {}) {
    const seen = { messages: 0, lost: 0, types: new Map<number, number>() };
    const handler = {
      message({ type }: Message) {
        seen.messages++;
        seen.types.set(type, (seen.types.get(type) ?? 0) + 1);
      },
      lost: () => void seen.lost++,
    };
    const notifications = new Notifications(handler, { netns: netns.path, ...options });
    cleanUps.push(() => notifications.close());
    return { seen, notifications };
  }

  it('Changes by other programs arrive without polling: links, addresses, neighbours and routes.', async () => {
    const netns = namespace();
    const { seen } = watch(netns);
    netns.batch([
      'link add br0 type bridge',
      'link set br0 up',
      'address add 10.1.0.1/24 dev br0',
      'neigh add 10.1.0.2 lladdr 02:00:00:00:00:02 dev br0',
      'route add blackhole 10.99.0.0/16',
    ]);
    await until('all kinds of notifications', 5000, () =>
      [16, 20, 28, 24].every((type) => (seen.types.get(type) ?? 0) > 0),
    );
    expect(seen.lost).toBe(0);
  });

  it('Every one of 20,000 changes arrives, in bursts and one by one.', async () => {
    const netns = namespace();
    const { seen } = watch(netns);
    const requester = new Requester(open(netns));
    await requester.run(Array.from({ length: 20_000 }, (_, i) => blackhole(RTM_NEWROUTE, i)));
    await until('20,000 routes', 10_000, () => seen.types.get(RTM_NEWROUTE) === 20_000);
    for (let i = 0; i < 50; i++) {
      await requester.run([blackhole(RTM_DELROUTE, i)]);
      await until('one change', 5000, () => seen.types.get(RTM_DELROUTE) === i + 1);
    }
    expect(seen.lost).toBe(0);
  });

  it('A burst that exceeds the buffer is reported as lost, and later changes arrive.', async () => {
    const netns = namespace();
    const { seen } = watch(netns, { receiveBuffer: 4096 });
    await new Requester(open(netns)).run(Array.from({ length: 200 }, (_, i) => blackhole(RTM_NEWROUTE, i)));
    await until('loss', 5000, () => seen.lost > 0);
    const before = seen.types.get(RTM_DELROUTE) ?? 0;
    await new Requester(open(netns)).run([blackhole(RTM_DELROUTE, 7)]);
    await until('a change after the loss', 5000, () => (seen.types.get(RTM_DELROUTE) ?? 0) > before);
  });

  it('Nothing arrives after the end.', async () => {
    const netns = namespace();
    const { seen, notifications } = watch(netns);
    notifications.close();
    netns.ip('route add blackhole 10.99.0.0/16');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(seen.messages).toBe(0);
  });

  it('A process that waits for notifications ends when it has nothing else to do.', async () => {
    const source = `
      import { Notifications } from './kernel/netlink/notifications.ts';
      new Notifications({ message() {}, lost() {} });
    `;
    const { status, stderr } = await runProgram(source);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

/** Runs a TypeScript program in a process of its own. */
async function runProgram(source: string): Promise<{ status: number | null; stderr: string }> {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: process.cwd() },
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
    write: false,
  });
  return spawnSync(process.execPath, ['--input-type=module'], {
    input: outputFiles[0]?.text ?? '',
    encoding: 'utf8',
    timeout: 60_000,
  });
}

/** A request for or about a route `blackhole 10.99.x.y`. */
function blackhole(type: number, number: number): WriteRequest {
  return (writer, sequence) => {
    writer.begin(type, NLM_F_REQUEST | (type === RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0), sequence);
    // struct rtmsg: family, lengths, TOS, table main, protocol, scope, type blackhole, flags.
    writer.append(Uint8Array.of(2, 32, 0, 0, 254, 77, 0, 6, 0, 0, 0, 0));
    writer.attribute(1, Uint8Array.of(10, 99 + (number >> 16), (number >> 8) & 255, number & 255));
    writer.end();
    return undefined;
  };
}

/** 10.99.0.1/24 has bits outside of its prefix. */
const malformedRoute: WriteRequest = (writer, sequence) => {
  writer.begin(RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_CREATE, sequence);
  writer.append(Uint8Array.of(2, 24, 0, 0, 254, 77, 0, 6, 0, 0, 0, 0));
  writer.attribute(1, Uint8Array.of(10, 99, 0, 1));
  writer.end();
  return undefined;
};

/** A request for a bridge, the cheapest link. */
function bridge(number: number): WriteRequest {
  return (writer, sequence) => {
    writer.begin(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, sequence);
    writer.append(new Uint8Array(16));
    writer.attributeText(3, `b${number}`);
    const info = writer.openNested(18);
    writer.attributeText(1, 'bridge');
    writer.closeAttribute(info);
    writer.end();
    return undefined;
  };
}

/** A dump request with a fixed part of zeros after the family. */
function request(type: number, length: number, family: number): WriteRequest {
  return (writer, sequence) => {
    writer.begin(type, NLM_F_REQUEST | 0x300, sequence);
    const body = new Uint8Array(length);
    body[0] = family;
    writer.append(body);
    writer.end();
    return undefined;
  };
}

/** Reads IFLA_IFNAME, the first attribute after struct ifinfomsg. */
function nameOf({ body }: Message): string {
  return Buffer.from(body.subarray(20)).toString('latin1').split('\0')[0] ?? '';
}
