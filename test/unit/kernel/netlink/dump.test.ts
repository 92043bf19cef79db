import { describe, expect, it } from 'vitest';
import { NLM_F_DUMP_INTR, NLM_F_MULTI, NLMSG_DONE } from '../../../../kernel/netlink/constants.ts';
import { dump } from '../../../../kernel/netlink/dump.ts';
import type { Message } from '../../../../kernel/netlink/message.ts';
import type { NoDatagram } from '../../../../kernel/netlink/socket.ts';
import type { WriteRequest } from '../../../../kernel/netlink/write-request.ts';
import type { Time } from '../../../../lib/time.ts';
import { acknowledgement, datagram, FakeDatagrams } from '../../../helpers/fake-datagrams.ts';

const ANY_TYPE = 24;
const EPERM = 1;

describe('a dump', () => {
  it('The objects of all datagrams are returned in order.', async () => {
    const { result } = dumped([[object(1), object(2), done()]]);
    expect(await result).toEqual([1, 2]);
  });

  it('An interrupted dump starts again in a new socket, and returns only the objects of the last attempt.', async () => {
    const { result, sockets } = dumped([
      [object(1), object(2, NLM_F_DUMP_INTR), done()],
      [object(3), done(NLM_F_DUMP_INTR)],
      [object(3), object(4), done()],
    ]);
    expect(await result).toEqual([3, 4]);
    expect(sockets.map(({ isClosed }) => isClosed)).toEqual([true, true, true]);
  });

  it('A dump that is interrupted each time ends with an error.', async () => {
    const { result, sockets, waits } = dumped(Array.from({ length: 50 }, () => [done(NLM_F_DUMP_INTR)]));
    await expect(result).rejects.toThrow(/objects changed during each of 13 attempts/);
    expect(sockets).toHaveLength(13);
    expect(waits).toEqual([10, 20, 40, 80, 160, 320, 640, 1280]);
  });

  it('An object that is larger than the buffer is read with a larger buffer.', async () => {
    const { result, lengths } = dumped([
      [object(1), 'truncated'],
      [object(1), object(2), done()],
    ]);
    expect(await result).toEqual([1, 2]);
    expect(lengths[1]).toBeGreaterThan(lengths[0] ?? 0);
  });

  it('Lost datagrams, a refusal and an unfinished answer are never an empty list.', async () => {
    expect(await dumped([['lost'], [object(1), done()]]).result).toEqual([1]);
    await expect(dumped([[acknowledgement(EPERM, 1)]]).result).rejects.toThrow(/EPERM/);
    await expect(dumped([[done(0, EPERM)]]).result).rejects.toThrow(/EPERM/);
    await expect(dumped([[object(1)]]).result).rejects.toThrow(/did not finish/);
    await expect(dumped([[Uint8Array.of(1)]]).result).rejects.toThrow(/too few/);
  });

  it('The socket is closed when reading an object throws.', async () => {
    const { result, sockets } = dumped([[object(99), done()]]);
    await expect(result).rejects.toThrow('unknown');
    expect(sockets[0]?.isClosed).toBe(true);
  });
});

/** Dumps from a kernel whose attempts answer with these datagrams. Object 99 cannot be read. */
function dumped(attempts: (Uint8Array | NoDatagram)[][]) {
  const sockets: FakeDatagrams[] = [];
  const lengths: number[] = [];
  const open = (bufferLength: number) => {
    const answer = attempts[sockets.length] ?? [];
    const socket = new FakeDatagrams((_, { queue }) => queue.push(...answer));
    sockets.push(socket);
    lengths.push(bufferLength);
    return socket;
  };
  const read = ({ body }: Message) => {
    if (body[0] === 99) throw new Error('unknown');
    return body[0];
  };
  const waits: number[] = [];
  const time: Pick<Time, 'after'> = {
    after(delayMs, callback) {
      waits.push(delayMs);
      queueMicrotask(callback);
      return () => undefined;
    },
  };
  return { sockets, lengths, waits, result: dump(open, request, read, time) };
}

const request: WriteRequest = (writer, sequence) => {
  writer.begin(ANY_TYPE, 0x301, sequence);
  writer.end();
  return undefined;
};

function object(number: number, flags = 0): Uint8Array {
  return datagram(ANY_TYPE, NLM_F_MULTI | flags, 1, Uint8Array.of(number));
}

function done(flags = 0, errno = 0): Uint8Array {
  return datagram(
    NLMSG_DONE,
    NLM_F_MULTI | flags,
    1,
    new Uint8Array(Int32Array.of(errno === 0 ? 0 : -errno).buffer),
  );
}
