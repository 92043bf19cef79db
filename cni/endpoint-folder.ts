/** Small files of one folder: where the endpoints are kept (endpoint-store.ts). */
import { renameSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../lib/errors.ts';
import { createFolder } from '../lib/folder.ts';

export interface EndpointFiles {
  /** Reads all files. `text` is undefined for one that cannot be read, with the reason. */
  read(): Promise<readonly EndpointText[]>;
  /** Writes a file as a whole. Throws when it cannot. */
  write(name: string, text: string): void;
  /** Removes a file, if it exists. Rejects when it cannot. */
  remove(name: string): Promise<void>;
}

export type EndpointText =
  | { readonly name: string; readonly text: string }
  | { readonly name: string; readonly text: undefined; readonly reason: string };

/** The files of a folder, which is created. Unfinished writes of an earlier process are removed when it is read. */
export function endpointFolder(directory: string): EndpointFiles {
  const at = (name: string) => path.join(directory, name);
  return {
    async read() {
      await createFolder(directory, 0o700);
      const texts: EndpointText[] = [];
      for (const entry of await readdir(directory, { withFileTypes: true })) {
        if (entry.name.endsWith('.json')) texts.push(await readText(directory, entry.name));
        else if (!entry.isDirectory()) await rm(at(entry.name), { force: true });
      }
      return texts;
    },
    /** Synchronous: on a tmpfs, that takes less time than a trip through the thread pool. */
    write(name, text) {
      writeFileSync(at(`${name}.tmp`), text, { mode: 0o600 });
      renameSync(at(`${name}.tmp`), at(name));
    },
    remove: (name) => rm(at(name), { force: true }),
  };
}

async function readText(directory: string, name: string): Promise<EndpointText> {
  try {
    return { name, text: await readFile(path.join(directory, name), 'utf8') };
  } catch (error) {
    return { name, text: undefined, reason: messageOf(error) };
  }
}
