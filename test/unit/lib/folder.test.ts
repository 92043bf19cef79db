/** Folders that a user names. */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createFolder } from '../../../lib/folder.ts';

async function temporary(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'cali-folder-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

it('createFolder creates missing parents with the mode, even if the folder exists', async () => {
  const folder = path.join(await temporary(), 'a', 'b');
  await Promise.all([createFolder(folder, 0o700), createFolder(folder, 0o700)]);
  await createFolder(folder);
  for (const one of [folder, path.dirname(folder)]) expect((await stat(one)).mode & 0o777).toBe(0o700);
});

it.each(['/proc/x', '/proc/x/y'])(
  'createFolder names the folder %s that the kernel refuses',
  async (folder) => {
    await expect(createFolder(folder)).rejects.toMatchObject({
      code: 'FOLDER',
      message: expect.stringContaining('folder /proc/x cannot be created: ENOENT'),
    });
  },
);

it('createFolder refuses a path that a file occupies', async () => {
  const file = path.join(await temporary(), 'file');
  await writeFile(file, '');
  await expect(createFolder(file)).rejects.toThrow(`folder ${file} cannot be created: EEXIST`);
  await expect(createFolder(path.join(file, 'x'))).rejects.toThrow('cannot be created');
});
