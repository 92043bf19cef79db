/** `npm run crds`: writes the CRDs of deploy/ from the schemas; with --check, reports files that differ. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { componentWithoutRules, crdManifests } from './crd.ts';

const deploy = path.join(process.cwd(), 'deploy');
const isCheck = process.argv.includes('--check');
const files = [
  ...crdManifests().map(({ file, text }) => ({ file: path.join('crds', file), text })),
  { file: 'components/before-1.31/kustomization.yaml', text: componentWithoutRules() },
];
for (const { file, text } of files) {
  const target = path.join(deploy, file);
  if (!isCheck) {
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, text);
  } else if ((await readFile(target, 'utf8').catch(() => '')) !== text) {
    process.stdout.write(`${target} is not what the schemas say: run npm run crds\n`);
    process.exitCode = 1;
  }
}
