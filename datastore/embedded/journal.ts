/**
 * Durable state of the embedded API server: a snapshot, and a journal of the changes since.
 *
 *   snapshot.json   { revision, objects: [[key, object], …] }, replaced by rename
 *   journal.log     one record per line: crc32 of the JSON in 8 hex digits, a space, the JSON
 *
 * A record counts once it is on the disk (O_DSYNC). Records that arrive during a write share the next one. An
 * interrupted write leaves a torn last record. `open` drops it, because no client received a success for it. A damaged
 * record with valid ones after it is not a torn write, and `open` fails.
 */

import { constants } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { CodedError } from '../../lib/errors.ts';
import { createFolder } from '../../lib/folder.ts';
import type { AnyResource } from '../schema/resource.ts';

/** One committed change. `object` is null for a deletion. */
export interface JournalRecord {
  readonly revision: number;
  readonly key: string;
  readonly object: AnyResource | null;
}

export interface Recovered {
  readonly revision: number;
  readonly objects: Map<string, AnyResource>;
  /** Records since the snapshot, oldest first. */
  readonly records: readonly JournalRecord[];
  /** Bytes of a torn last record that were dropped. */
  readonly droppedBytes: number;
}

/** With O_DSYNC, write returns once the data is on the disk: one call instead of write and fdatasync. */
const JOURNAL_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_DSYNC;

type Waiter = { readonly line: string; resolve(): void; reject(error: unknown): void };

export class Journal {
  readonly #directory: string;
  #file: FileHandle;
  #bytes: number;
  #waiting: Waiter[] = [];
  #flushing: Promise<void> | undefined;
  #compacting: Promise<void> | undefined;

  private constructor(directory: string, file: FileHandle, bytes: number) {
    this.#directory = directory;
    this.#file = file;
    this.#bytes = bytes;
  }

  /** Opens or creates the journal in a directory and returns its content. */
  static async open(directory: string): Promise<{ journal: Journal; recovered: Recovered }> {
    await createFolder(directory);
    const snapshot = await readSnapshot(path.join(directory, 'snapshot.json'));
    const file = await open(path.join(directory, 'journal.log'), JOURNAL_FLAGS);
    const { records, goodBytes, size } = await readJournal(file, directory);
    if (goodBytes < size) await file.truncate(goodBytes);
    const fresh = records.filter((record) => record.revision > snapshot.revision);
    const objects = new Map(snapshot.objects);
    for (const { key, object } of fresh) {
      if (object) objects.set(key, object);
      else objects.delete(key);
    }
    return {
      journal: new Journal(directory, file, goodBytes),
      recovered: {
        revision: fresh.at(-1)?.revision ?? snapshot.revision,
        objects,
        records: fresh,
        droppedBytes: size - goodBytes,
      },
    };
  }

  /** Size of the journal file, bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends a record. Resolves when it is on the disk. */
  append(record: JournalRecord): Promise<void> {
    const json = JSON.stringify(record);
    const line = `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  /**
   * Replaces the snapshot with this state and empties the journal. Do not call it during an append. Appends that
   * follow wait, because emptying the journal would lose their records.
   */
  compact(revision: number, objects: ReadonlyMap<string, AnyResource>): Promise<void> {
    // Serialise now, while the state is that of the revision.
    const text = JSON.stringify({ revision, objects: [...objects] });
    this.#compacting = this.#replaceSnapshot(text).finally(() => {
      this.#compacting = undefined;
    });
    return this.#compacting;
  }

  async #replaceSnapshot(text: string): Promise<void> {
    const target = path.join(this.#directory, 'snapshot.json');
    const file = await open(`${target}.tmp`, 'w');
    await file.writeFile(text);
    await file.sync();
    await file.close();
    await rename(`${target}.tmp`, target);
    await syncDirectory(this.#directory);
    await this.#file.truncate(0);
    this.#bytes = 0;
  }

  async close(): Promise<void> {
    await this.#flushing;
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    // Wait one turn, so that requests of the same turn share a sync.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      await this.#compacting?.catch(() => undefined);
      const batch = this.#waiting;
      this.#waiting = [];
      const text = batch.map(({ line }) => line).join('');
      try {
        const bytes = Buffer.from(text);
        // A write may be partial.
        for (let at = 0; at < bytes.length; ) at += (await this.#file.write(bytes, at)).bytesWritten;
        this.#bytes += bytes.length;
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#flushing = undefined;
  }
}

async function readSnapshot(file: string): Promise<{ revision: number; objects: [string, AnyResource][] }> {
  await rm(`${file}.tmp`, { force: true });
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? { revision: 0, objects: [] } : JSON.parse(text);
}

async function readJournal(file: FileHandle, directory: string) {
  try {
    return parseJournal(await file.readFile('utf8'), directory);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function parseJournal(text: string, directory: string) {
  const records: JournalRecord[] = [];
  let goodBytes = 0;
  const lines = text.split('\n');
  const size = Buffer.byteLength(text);
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    const isComplete = i < lines.length - 1;
    const record = isComplete ? parseLine(line) : undefined;
    if (!record) {
      if (lines.slice(i + 1).some((later) => parseLine(later))) {
        throw new CodedError(
          'JOURNAL_DAMAGED',
          `${path.join(directory, 'journal.log')}: record ${i + 1} is damaged, and intact records follow it. ` +
            'This is not a torn write: restore the directory from a backup, or delete that line to continue without it.',
        );
      }
      break;
    }
    records.push(record);
    goodBytes += Buffer.byteLength(line) + 1;
  }
  return { records, goodBytes, size };
}

function parseLine(line: string): JournalRecord | undefined {
  const json = line.slice(9);
  if (line.length < 10 || crc32(json) !== Number.parseInt(line.slice(0, 8), 16)) return undefined;
  return JSON.parse(json) as JournalRecord;
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  await handle.sync();
  await handle.close();
}
