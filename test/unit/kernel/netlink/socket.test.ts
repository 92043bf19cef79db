import { describe, expect, it } from 'vitest';
import { inNamespace } from '../../../../kernel/netlink/namespace.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../../../kernel/netlink/socket.ts';
import type { SystemCalls } from '../../../../kernel/netlink/system-calls.ts';

const EPERM = 1;
const EINTR = 4;
const EAGAIN = 11;
const EINVAL = 22;
const ENOBUFS = 105;
const OWN = '/proc/self/ns/net';

describe('a netlink socket', () => {
  it('A call that a signal interrupted is repeated.', async () => {
    const sent = results(-EINTR, -EINTR, 3);
    const received = results(-EINTR, 2);
    const socket = open({
      send: async () => sent(),
      receive: results(-EINTR, 2),
      receiveLater: async () => received(),
    });
    await socket.send(Uint8Array.of(1, 2, 3));
    expect(socket.receive()).toHaveLength(2);
    expect(await socket.receiveLater()).toHaveLength(2);
  });

  it('A socket that is closed during a call stays open until the call ends.', async () => {
    const closed: number[] = [];
    let finish = (_: number): void => undefined;
    const send = () =>
      new Promise<number>((resolve) => {
        finish = resolve;
      });
    const socket = open({ send, close: (fd) => void closed.push(fd) });
    const sending = socket.send(Uint8Array.of(1));
    socket.close();
    expect(closed).toEqual([]);
    finish(1);
    await sending;
    expect(closed).toEqual([FD]);
  });

  it('An empty queue, lost datagrams and a datagram that is too long are told apart.', () => {
    const socket = open({ receive: results(-EAGAIN, -ENOBUFS, 70_000, 70_000) });
    expect([socket.receive(), socket.receive(), socket.receive()]).toEqual(['empty', 'lost', 'truncated']);
    expect(socket.receive()).toHaveLength(70_000);
  });

  it('An error names the call and the error number.', async () => {
    expect(() => open({ socket: () => -EPERM })).toThrow('netlink socket: Operation not permitted (EPERM)');
    const refused = open({ send: async () => -EPERM }).send(Uint8Array.of(1));
    await expect(refused).rejects.toThrow(/netlink send: .*EPERM/);
    await expect(open({ send: async () => 1 }).send(Uint8Array.of(1, 2))).rejects.toThrow(/took 1 of 2/);
  });

  it('A socket that cannot be bound is closed, and a closed socket is not used.', () => {
    const closed: number[] = [];
    const close = (fd: number) => void closed.push(fd);
    expect(() => open({ bind: () => -EPERM, close })).toThrow(/bind/);
    expect(closed).toEqual([FD]);
    const socket = open({ close });
    socket.close();
    socket.close();
    expect(closed).toEqual([FD, FD]);
    expect(() => socket.receive()).toThrow(/closed/);
  });
});

describe('another network namespace', () => {
  it('The thread returns after the work, and after work that throws.', () => {
    const visited: string[] = [];
    const setNetworkNamespace = () => {
      visited.push('setns');
      return 0;
    };
    const calls = fakeCalls({ setNetworkNamespace });
    expect(inNamespace(OWN, () => visited.push('work'), calls)).toBe(2);
    expect(() =>
      inNamespace(
        OWN,
        () => {
          throw new Error('work failed');
        },
        calls,
      ),
    ).toThrow('work failed');
    expect(visited).toEqual(['setns', 'work', 'setns', 'setns', 'setns']);
  });

  it('A namespace that is gone or cannot be entered is an error, and the work does not run.', () => {
    let hasRun = false;
    const work = () => {
      hasRun = true;
    };
    expect(() => inNamespace('/nonexistent', work, fakeCalls({}))).toThrow(/\/nonexistent cannot be opened/);
    const refusing = fakeCalls({ setNetworkNamespace: () => -EINVAL });
    expect(() => inNamespace(OWN, work, refusing)).toThrow(/cannot be entered: Invalid argument/);
    expect(hasRun).toBe(false);
  });

  it('The process is abandoned when the thread cannot return.', () => {
    const calls = fakeCalls({ setNetworkNamespace: results(0, -EPERM) });
    const abandon = (reason: string): never => {
      throw new Error(`abandoned: ${reason}`);
    };
    expect(() => inNamespace(OWN, () => undefined, calls, abandon)).toThrow(
      /abandoned: cannot return from .*Operation not permitted/,
    );
  });
});

const FD = 77;

function open(calls: Partial<SystemCalls>): NetlinkSocket {
  return new NetlinkSocket({ protocol: NETLINK_ROUTE }, fakeCalls(calls));
}

function fakeCalls(calls: Partial<SystemCalls>): SystemCalls {
  return {
    socket: () => FD,
    bind: () => 0,
    setOption: () => 0,
    send: async (_, { length }) => length,
    receive: () => -EAGAIN,
    receiveLater: async () => -EAGAIN,
    close: () => undefined,
    setNetworkNamespace: () => 0,
    own: () => 0,
    signalWhenReadable: () => 0,
    ...calls,
  };
}

/** Returns the results one after the other, and the last one from then on. */
function results(...list: readonly number[]): () => number {
  let next = 0;
  return () => list[Math.min(next++, list.length - 1)] ?? 0;
}
