/**
 * Reads all objects of a kind. A dump is many datagrams, which the kernel fills while we receive. If objects change
 * meanwhile, it can mark the dump as inconsistent (NLM_F_DUMP_INTR): then the dump starts again.
 */
import { CodedError } from '../../lib/errors.ts';
import { systemTime, type Time } from '../../lib/time.ts';
import { decodeAcknowledgement } from './acknowledgement.ts';
import { NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR } from './constants.ts';
import { errnoName, errnoText } from './errno.ts';
import { isMalformed, type Message, readMessages } from './message.ts';
import { MessageWriter } from './message-writer.ts';
import { BUFFER_LENGTH, type Datagrams } from './socket.ts';
import type { WriteRequest } from './write-request.ts';

/** Attempts that follow each other at once; then each waits twice as long as the one before, 2.5 s in all. */
const QUICK_ATTEMPTS = 5;
const MAX_ATTEMPTS = 13;
const FIRST_WAIT_MS = 10;

/**
 * Returns what `read` makes of each message of a dump; `read` returns undefined for one to leave out, and must not keep
 * views of its body. `open` makes a socket for this dump alone. Throws CodedError NETLINK when the kernel refuses, does
 * not answer, or interrupts each attempt. Errors of `read` end it too.
 */
export async function dump<T>(
  open: (bufferLength: number) => Datagrams,
  request: WriteRequest,
  read: (message: Message) => T | undefined,
  time: Pick<Time, 'after'> = systemTime,
): Promise<T[]> {
  let bufferLength = BUFFER_LENGTH;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    // A dump that was given up continues in its socket, so each attempt has its own.
    const socket = open(bufferLength);
    try {
      const objects = await attemptOf(socket, request, read);
      if (typeof objects !== 'string') return objects;
      if (objects === 'truncated') bufferLength *= 4;
    } finally {
      socket.close();
    }
    const waits = attempt - QUICK_ATTEMPTS;
    if (waits >= 0 && attempt < MAX_ATTEMPTS)
      await new Promise<void>((resolve) => {
        time.after(FIRST_WAIT_MS * 2 ** waits, resolve);
      });
  }
  throw new CodedError(
    'NETLINK',
    `netlink dump: objects changed during each of ${MAX_ATTEMPTS} attempts; another program may change them all the time`,
  );
}

/** Returns why the dump must start again, or its objects. */
async function attemptOf<T>(
  socket: Datagrams,
  request: WriteRequest,
  read: (message: Message) => T | undefined,
): Promise<T[] | 'interrupted' | 'truncated'> {
  const writer = new MessageWriter(1024);
  const refusal = request(writer, 1);
  if (refusal !== undefined) throw new CodedError('NETLINK', `netlink dump: ${refusal.message}`);
  await socket.send(writer.bytes());
  const objects: T[] = [];
  for (;;) {
    const bytes = await socket.receiveLater();
    if (bytes === 'empty')
      throw new CodedError('NETLINK', 'netlink dump: the kernel did not finish its answer');
    if (bytes === 'truncated') return bytes;
    if (bytes === 'lost') return 'interrupted';
    const messages = readMessages(bytes);
    if (isMalformed(messages)) throw new CodedError('NETLINK', `netlink dump: ${messages.malformed}`);
    for (const message of messages) {
      if ((message.flags & NLM_F_DUMP_INTR) !== 0) return 'interrupted';
      if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
        demandSuccess(message);
        return objects;
      }
      const object = read(message);
      if (object !== undefined) objects.push(object);
    }
  }
}

function demandSuccess(message: Message): void {
  const acknowledgement = decodeAcknowledgement(message);
  if (isMalformed(acknowledgement))
    throw new CodedError('NETLINK', `netlink dump: ${acknowledgement.malformed}`);
  const { errno, message: text } = acknowledgement;
  if (errno !== 0)
    throw new CodedError('NETLINK', `netlink dump: ${text ?? errnoText(errno)} (${errnoName(errno)})`);
}
