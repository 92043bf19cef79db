/**
 * `npm run crds`: writes the CRDs of deploy/ and the tables of docs/calico.md from the schemas. With --check it only
 * reports differences.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { crdManifests } from './crd.ts';
import { withTables } from './field-tables.ts';

const page = path.join(process.cwd(), 'docs', 'calico.md');
const isCheck = process.argv.includes('--check');
const files = [
  ...crdManifests().map(({ file, text }) => ({ file: path.join('deploy', 'crds', file), text })),
  { file: 'docs/calico.md', text: withTables(await readFile(page, 'utf8')) ?? '' },
];
for (const { file, text } of files) {
  const target = path.join(process.cwd(), file);
  if (!isCheck) {
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, text);
  } else if ((await readFile(target, 'utf8').catch(() => '')) !== text) {
    process.stdout.write(`${target} does not match the schemas: run npm run crds\n`);
    process.exitCode = 1;
  }
}
