/** Folders that a user names. */
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { CodedError, messageOf } from './errors.ts';

/**
 * Creates a folder and its missing parents, with this mode. Throws CodedError FOLDER with the path that cannot be
 * created. `mkdir` with `recursive` never returns for a path such as /proc/x: the kernel answers ENOENT although the
 * parent exists, and Node tries again.
 */
export async function createFolder(folder: string, mode = 0o777): Promise<void> {
  const missing: string[] = [];
  for (let at = path.resolve(folder); !(await isFolder(at)); at = path.dirname(at)) missing.unshift(at);
  for (const one of missing)
    await mkdir(one, { mode }).catch(async (error: unknown) => {
      // Another process created it in the meantime.
      if (await isFolder(one)) return;
      throw new CodedError('FOLDER', `folder ${one} cannot be created: ${messageOf(error)}`, {
        cause: error,
      });
    });
}

async function isFolder(folder: string): Promise<boolean> {
  try {
    return (await stat(folder)).isDirectory();
  } catch {
    return folder === path.dirname(folder);
  }
}
