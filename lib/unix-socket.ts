/**
 * Unix sockets with one owner. A process creates its socket under a unique, private name and links it to its path. So a
 * live process keeps its socket, and an ending one removes only its own, never its successor's.
 */
import { linkSync, lstatSync, renameSync, type Stats, unlinkSync } from 'node:fs';
import net, { type Server } from 'node:net';
import { CodedError } from './errors.ts';
import { surviveAccept } from './listening.ts';

/** A server that listens on a path. */
export interface UnixSocket {
  /** Stops listening and removes the socket, unless another process has replaced it. */
  close(): void;
}

/** How long an ending process may keep its socket. */
const HANDOVER_MS = 10_000;
const LOOK_MS = 250;

/** Counts the sockets of this process. A closing server removes the name it was bound to, so names must be unique. */
let count = 0;

/**
 * Listens on a path that only its owner can use, and replaces a dead socket. Throws CodedError SOCKET_TAKEN when a
 * process still serves the path after `handoverMs` milliseconds, or when the path is not a socket.
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

/** `listen` binds before it returns, so the mask applies to this socket only. */
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

/** Links the socket to its path. This fails when the path exists, so two starting processes never overwrite one another. */
async function takePlace(own: string, path: string, handoverMs: number): Promise<void> {
  const lastLook = Date.now() + handoverMs;
  for (;;) {
    const present = stat(path);
    if (!present) {
      if (tryLink(own, path)) return;
      continue;
    }
    if (!present.isSocket()) throw taken(path, 'it is not a socket: remove it');
    if (!(await isServed(path))) {
      removeDead(path, present, `${own}.old`);
      continue;
    }
    if (Date.now() >= lastLook)
      throw taken(
        path,
        'another process listens on it: if this program runs twice, stop the other instance first',
      );
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/**
 * Removes a dead socket. A process that starts now may have linked its own in the meantime, so this moves the path aside
 * first, and restores it when the moved socket is not the dead one.
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
      // A full queue or a refused permission means that a process owns it.
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
 * Checks that only this process's user or root can write to a folder. Any other writer could replace our socket. Throws
 * CodedError CONFIG with the remedy.
 */
export function assertPrivateFolder(folder: string): void {
  const found = stat(folder);
  if (!found?.isDirectory()) throw unsafe(folder, 'is not a directory: remove it');
  if (found.uid !== 0 && found.uid !== process.getuid?.())
    throw unsafe(folder, `belongs to user ${found.uid}: chown it to root`);
  if ((found.mode & 0o022) !== 0) throw unsafe(folder, 'is writable by others: chmod 0755 it');
}

function unsafe(folder: string, why: string): CodedError {
  return new CodedError('CONFIG', `run directory ${folder} ${why}`);
}

/** Checks the owner of a socket before a client connects to it. Throws CodedError NOT_OURS. */
export function assertTrustedSocket(path: string): void {
  const found = stat(path);
  if (!found) return;
  if (!found.isSocket()) throw new CodedError('NOT_OURS', `${path} is not a socket`);
  if (found.uid !== 0 && found.uid !== process.getuid?.())
    throw new CodedError('NOT_OURS', `${path} belongs to user ${found.uid}, not to root`);
}
