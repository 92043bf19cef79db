/**
 * Unix sockets that belong to one process. The socket is made under a name of its own, private from its first moment,
 * and linked to its place: so nothing ends up there by chance, a live process keeps its socket, and an ending one
 * removes its own and never that of its successor.
 */
import { linkSync, lstatSync, renameSync, type Stats, unlinkSync } from 'node:fs';
import net, { type Server } from 'node:net';
import { CodedError } from './errors.ts';
import { surviveAccept } from './listening.ts';

/** A server that listens at a path. */
export interface UnixSocket {
  /** Stops listening and removes the socket, unless another process has replaced it. */
  close(): void;
}

/** How long a process that is ending may keep its socket. */
const HANDOVER_MS = 10_000;
const LOOK_MS = 250;

/** Sockets of this process so far: the name that a server was bound to is removed when it closes, so none is used twice. */
let count = 0;

/**
 * Listens at a path, for the owner alone. A socket that nobody serves is replaced. Throws CodedError SOCKET_TAKEN when
 * a live process serves it, after waiting for one that is ending, or when something else is in its place.
 */
export async function listenUnix(
  server: Server,
  path: string,
  handoverMs = HANDOVER_MS,
): Promise<UnixSocket> {
  const own = `${path}.${process.pid}.${++count}`;
  remove(own);
  await listenPrivately(server, own);
  try {
    const { dev, ino } = lstatSync(own);
    await takePlace(own, path, handoverMs);
    remove(own);
    return {
      close() {
        server.close();
        const present = stat(path);
        if (present?.ino === ino && present.dev === dev) remove(path);
      },
    };
  } catch (error) {
    server.close();
    remove(own);
    throw error;
  }
}

/** `listen` binds before it returns, so the mask is in force for this one socket. */
function listenPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const before = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        surviveAccept(server);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

/** Links the socket to its place; a link fails where something is, so two that start at once do not overwrite. */
async function takePlace(own: string, path: string, handoverMs: number): Promise<void> {
  const lastLook = Date.now() + handoverMs;
  for (;;) {
    const present = stat(path);
    if (!present) {
      if (tryLink(own, path)) return;
      continue;
    }
    if (!present.isSocket()) throw taken(path, 'it is no socket: remove it');
    if (!(await isServed(path))) {
      removeDead(path, present, `${own}.old`);
      continue;
    }
    if (Date.now() >= lastLook)
      throw taken(path, 'another process serves it: is this program running twice? End the other one first');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/**
 * Removes a socket that nobody serves. Another process that starts now may have put its own there since: so the name is
 * taken away first, and given back when it is not the dead one's.
 */
function removeDead(path: string, dead: Stats, aside: string): void {
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = stat(aside);
  if (moved?.ino !== dead.ino || moved.dev !== dead.dev) tryLink(aside, path);
  remove(aside);
}

function tryLink(own: string, path: string): boolean {
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Whether a process accepts connections there. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) =>
      // A full queue or a socket that we may not use is somebody's.
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

function stat(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function taken(path: string, why: string): CodedError {
  return new CodedError('SOCKET_TAKEN', `socket ${path}: ${why}`);
}

/**
 * Checks that only this process's user or root can change what is in a folder. Throws CodedError CONFIG with the
 * remedy: whoever can write there could put another socket in the place of ours.
 */
export function assertPrivateFolder(folder: string): void {
  const found = stat(folder);
  if (!found?.isDirectory()) throw unsafe(folder, 'is no directory of its own: remove it');
  if (found.uid !== 0 && found.uid !== process.getuid?.())
    throw unsafe(folder, `belongs to user ${found.uid}: chown it to root`);
  if ((found.mode & 0o022) !== 0) throw unsafe(folder, 'may be written by others: chmod 0755 it');
}

function unsafe(folder: string, why: string): CodedError {
  return new CodedError('CONFIG', `run directory ${folder} ${why}`);
}

/** Checks a socket before a client trusts what it says. Throws CodedError NOT_OURS. */
export function assertTrustedSocket(path: string): void {
  const found = stat(path);
  if (!found) return;
  if (!found.isSocket()) throw new CodedError('NOT_OURS', `${path} is no socket`);
  if (found.uid !== 0 && found.uid !== process.getuid?.())
    throw new CodedError('NOT_OURS', `${path} belongs to user ${found.uid}, not to root`);
}
