/** `npm run crds`: writes deploy/crds and deploy/overlays/cel from the schemas; with --check, says whether they are as they should be. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { crdManifests } from './crd.ts';

const deploy = path.join(process.cwd(), 'deploy');
const isCheck = process.argv.includes('--check');
for (const [folder, hasRules] of [
  ['crds', false],
  ['overlays/cel', true],
] as const) {
  const directory = path.join(deploy, folder);
  await mkdir(directory, { recursive: true });
  for (const { file, text } of crdManifests(hasRules)) {
    const target = path.join(directory, file);
    if (!isCheck) await writeFile(target, text);
    else if ((await readFile(target, 'utf8').catch(() => '')) !== text) {
      process.stdout.write(`${target} is not what the schemas say: run npm run crds\n`);
      process.exitCode = 1;
    }
  }
}
