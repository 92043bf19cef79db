/** Applies changes: encodes them, sends them in batches, and returns the refused ones. */
import { closeSync } from 'node:fs';
import { messageOf } from '../../lib/errors.ts';
import { type ChangeError, devicesOf, type KernelChange } from '../change.ts';
import { openNamespaceFile } from './namespace.ts';
import { encodeChange } from './rtnetlink/change.ts';
import { decodeLink } from './rtnetlink/decode-link.ts';
import type { NamespaceFd } from './rtnetlink/encode-link.ts';
import { linkQuery } from './rtnetlink/requests.ts';
import type { Sockets } from './sockets.ts';
import type { WriteRequest } from './write-request.ts';

/**
 * Applies changes in order and returns those that failed; a failure does not stop the others. `known`: indexes of links
 * by name. Names that are not in it are looked up, after the links among the earlier changes exist. Never throws.
 */
export async function applyChanges(
  sockets: Sockets,
  changes: readonly KernelChange[],
  known: ReadonlyMap<string, number> = new Map(),
): Promise<ChangeError[]> {
  const errors: ChangeError[] = [];
  for (const stretch of stretches(changes, known)) {
    try {
      errors.push(...(await applyStretch(sockets, stretch, known)));
    } catch (error) {
      // Which of them the kernel received is unknown.
      errors.push(...stretch.map((change) => ({ change, code: undefined, message: messageOf(error) })));
    }
  }
  return errors;
}

/**
 * Splits changes where links end or begin, because what follows may need the index of a new link. When all indexes are
 * known, everything fits in one stretch.
 */
function stretches(
  changes: readonly KernelChange[],
  known: ReadonlyMap<string, number>,
): readonly (readonly KernelChange[])[] {
  if (changes.flatMap(devicesOf).every((name) => known.has(name))) return changes.length > 0 ? [changes] : [];
  const list: KernelChange[][] = [];
  let last: KernelChange | undefined;
  for (const change of changes) {
    const stretch = list.at(-1);
    if (stretch && last && (last.object === 'link') === (change.object === 'link')) stretch.push(change);
    else list.push([change]);
    last = change;
  }
  return list;
}

async function applyStretch(
  sockets: Sockets,
  changes: readonly KernelChange[],
  known: ReadonlyMap<string, number>,
): Promise<ChangeError[]> {
  const indexes = changes[0]?.object === 'link' ? known : await indexesOf(sockets, changes, known);
  const namespaces = new Namespaces();
  const context = {
    deviceIndex: (name: string) => indexes.get(name),
    namespaceFd: namespaces.open,
  };
  const requests = changes.map(
    (change): WriteRequest =>
      (writer, sequence) =>
        encodeChange(writer, change, sequence, context),
  );
  try {
    const failures = await sockets.run(requests);
    return failures
      .sort((a, b) => a.index - b.index)
      .flatMap(({ index, code, message }) => {
        const change = changes[index];
        return change ? [{ change, code, message }] : [];
      });
  } finally {
    namespaces.close();
  }
}

/** Returns the indexes of the devices that changes name. Those that do not exist are missing. */
async function indexesOf(
  sockets: Sockets,
  changes: readonly KernelChange[],
  known: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, number>> {
  const names = [...new Set(changes.flatMap(devicesOf))].filter((name) => !known.has(name));
  if (names.length === 0) return known;
  const links = await sockets.queryAll(names.map(linkQuery), ({ body }) => decodeLink(body));
  const indexes = new Map(known);
  for (const [i, link] of links.entries()) {
    const name = names[i];
    // The kernel also finds alternative names, by which another link would be changed.
    if (name !== undefined && link && 'link' in link && link.link.name === name)
      indexes.set(name, link.link.index);
  }
  return indexes;
}

/** Files of network namespaces, open until the kernel has read their descriptors. */
class Namespaces {
  readonly #fds = new Map<string, number>();

  readonly open: NamespaceFd = (path) => {
    const present = this.#fds.get(path);
    if (present !== undefined) return present;
    try {
      const fd = openNamespaceFile(path);
      this.#fds.set(path, fd);
      return fd;
    } catch {
      return undefined;
    }
  };

  close(): void {
    for (const fd of this.#fds.values()) closeSync(fd);
  }
}
