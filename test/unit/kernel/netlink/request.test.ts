import { describe, expect, it } from 'vitest';
import { NLM_F_ACK, NLM_F_REQUEST } from '../../../../kernel/netlink/constants.ts';
import type { Message } from '../../../../kernel/netlink/message.ts';
import { Requester } from '../../../../kernel/netlink/request.ts';
import type { WriteRequest } from '../../../../kernel/netlink/write-request.ts';
import { acknowledgement, datagram, FakeDatagrams } from '../../../helpers/fake-datagrams.ts';

const EEXIST = 17;
const ANY_TYPE = 24;

describe('requests', () => {
  it('Only the last message of a datagram asks for an acknowledgement.', async () => {
    const { requester, socket } = kernel(() => 0);
    expect(await requester.run([write(1), write(2), write(3)])).toEqual([]);
    expect(socket.sent.map((messages) => messages.map(({ flags }) => flags))).toEqual([
      [NLM_F_REQUEST, NLM_F_REQUEST, NLM_F_REQUEST | NLM_F_ACK],
    ]);
  });

  it('Refused requests are reported by their place in the list, and the others are sent.', async () => {
    const { requester, socket } = kernel((number) => (number % 3 === 0 ? EEXIST : 0));
    const requests = Array.from({ length: 1000 }, (_, i) => write(i));
    const failures = await requester.run(requests);
    const expected = requests.flatMap((_, index) =>
      index % 3 === 0 ? [{ index, code: 'EEXIST', message: 'File exists' }] : [],
    );
    expect(failures).toEqual(expected);
    expect(socket.sent.flat().map(numberOf)).toEqual(requests.map((_, i) => i));
  });

  it('A request that cannot be written is a failure, and the others are sent.', async () => {
    const { requester, socket } = kernel(() => 0);
    const refusal = { code: 'ENODEV', message: 'Cannot find device "cali1"' };
    const failures = await requester.run([write(1), () => refusal, write(2)]);
    expect(failures).toEqual([{ index: 1, ...refusal }]);
    expect(await requester.run([() => refusal])).toEqual([{ index: 0, ...refusal }]);
    expect(socket.sent.flat().map(numberOf)).toEqual([1, 2]);
  });

  it('A datagram has at most 256 messages.', async () => {
    const { requester, socket } = kernel(() => 0);
    await requester.run(Array.from({ length: 600 }, (_, i) => write(i)));
    expect(socket.sent.map(({ length }) => length)).toEqual([256, 256, 88]);
  });

  it('Two lists at the same time each get their own failures.', async () => {
    const { requester } = kernel((number) => (number === 500 ? EEXIST : 0));
    const list = (from: number) => Array.from({ length: 600 }, (_, i) => write(from + i));
    const [first, second] = await Promise.all([requester.run(list(0)), requester.run(list(1000))]);
    expect(first.map(({ index }) => index)).toEqual([500]);
    expect(second).toEqual([]);
  });

  it('A kernel that does not answer, loses answers or sends garbage is an error.', async () => {
    for (const answer of [
      () => undefined,
      (_: unknown, socket: FakeDatagrams) => void socket.queue.push('lost'),
      (_: unknown, socket: FakeDatagrams) => void socket.queue.push(Uint8Array.of(1, 2, 3)),
      (_: unknown, socket: FakeDatagrams) => void socket.queue.push(datagram(2, 0, 1, Uint8Array.of(0))),
    ]) {
      const requester = new Requester(new FakeDatagrams(answer));
      await expect(requester.run([write(1)])).rejects.toMatchObject({ code: 'NETLINK' });
    }
  });

  it('Answers that were left from a failed call do not count for the next.', async () => {
    const { requester, socket } = kernel((number) => (number === 1 ? EEXIST : 0));
    socket.queue.push('lost');
    await expect(requester.run([write(1), write(2)])).rejects.toThrow(/lost/);
    expect(await requester.run([write(3)])).toEqual([]);
  });

  it('A query returns each object, or why the kernel refuses it, in the order of the requests.', async () => {
    const socket = new FakeDatagrams((messages, { queue }) => {
      for (const message of messages)
        queue.push(
          numberOf(message) % 7 === 0
            ? acknowledgement(EEXIST, message.sequence)
            : datagram(ANY_TYPE, 0, message.sequence, message.body),
        );
    });
    const requests = Array.from({ length: 300 }, (_, i) => write(i));
    const found = await new Requester(socket).queryAll(requests, numberOf);
    const failure = { code: 'EEXIST', message: 'File exists' };
    expect(found).toEqual(requests.map((_, i) => (i % 7 === 0 ? { index: i % 64, ...failure } : i)));
  });

  it('A query that the kernel leaves unanswered is an error.', async () => {
    const silent = new Requester(new FakeDatagrams());
    await expect(silent.query(write(1), numberOf)).rejects.toThrow(/did not answer/);
  });
});

/** A kernel that answers as Linux does: always on errors, else on demand. */
function kernel(errnoOf: (number: number) => number) {
  const socket = new FakeDatagrams((messages, { queue }) => {
    for (const message of messages) {
      const errno = errnoOf(numberOf(message));
      if (errno !== 0 || (message.flags & NLM_F_ACK) !== 0)
        queue.push(acknowledgement(errno, message.sequence));
    }
  });
  return { socket, requester: new Requester(socket) };
}

/** Writes a message whose body is a number. */
function write(number: number): WriteRequest {
  return (writer, sequence) => {
    writer.begin(ANY_TYPE, NLM_F_REQUEST | NLM_F_ACK, sequence);
    writer.u32(number);
    writer.end();
    return undefined;
  };
}

function numberOf({ body }: Message): number {
  return new Uint32Array(body.slice().buffer)[0] ?? -1;
}
