/** `npm run crds`: writes deploy/crds from the schemas. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { crdManifests } from './crd.ts';

const directory = path.join(process.cwd(), 'deploy', 'crds');
await mkdir(directory, { recursive: true });
for (const { file, text } of crdManifests()) await writeFile(path.join(directory, file), text);
