/** Reads the files of -f: files, folders, standard input. Reports all faults of all files before any change. */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Document, parseText } from '../datastore/documents.ts';
import { nodeKind } from '../datastore/schema/core.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import { nodeFields } from './calico-node.ts';
import { resolveKind } from './kinds.ts';

export interface InputOptions {
  /** Files, folders, or `-` for standard input. */
  readonly filename: readonly string[];
  /** Include subfolders. */
  readonly recursive?: boolean | undefined;
  /** Accept files without a resource. */
  readonly skipEmpty?: boolean | undefined;
  /** Validate only kind and name. */
  readonly isNameEnough?: boolean;
}

/** Fields of spec that only Calico's Node has. */
const calicoNodeFields = new Set([
  ...nodeFields.map((field) => field.path.split('.')[1] ?? ''),
  ...['wireguard', 'orchRefs'],
]);

/** Extensions of files to read from a folder, as in calicoctl. */
const manifest = /\.(ya?ml|json)$/i;

/** Reads all documents. Throws CodedError INPUT with a line per fault that has the file, the document and the field. */
export async function readInput(options: InputOptions): Promise<Document[]> {
  const documents: Document[] = [];
  const faults: string[] = [];
  const read = { isStandardInputRead: false };
  for (const name of options.filename) {
    try {
      for (const file of await filesOf(name, options.recursive ?? false)) {
        const shown = file === '-' ? 'standard input' : file;
        const text = await textOf(file, read);
        const { isNameEnough = false } = options;
        const parsed = parseText(text, shown, { resolve: resolveKind, isNameEnough });
        if (parsed.documents.length + parsed.faults.length === 0 && !options.skipEmpty)
          faults.push(`${shown}: contains no resources: add some, or use --skip-empty`);
        documents.push(...parsed.documents);
        faults.push(...parsed.faults, ...parsed.documents.flatMap((one) => misplacedFields(one)));
      }
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      faults.push(error.message);
    }
  }
  if (faults.length > 0) throw new CodedError('INPUT', faults.join('\n'));
  return documents;
}

/** Fields of Calico's Node in a core Node: the API server would drop them silently. */
function misplacedFields({ definition, object, place }: Document): string[] {
  if (definition !== nodeKind) return [];
  return [...calicoNodeFields]
    .filter((field) => Object.hasOwn(object['spec'] ?? {}, field))
    .map(
      (field) =>
        `${place}: Node ${object.metadata.name}: spec.${field} is a field of Calico's Node: set apiVersion: projectcalico.org/v3`,
    );
}

/** Returns the files that a name refers to. Throws CodedError INPUT. */
async function filesOf(name: string, isRecursive: boolean): Promise<string[]> {
  if (name === '-') return [name];
  try {
    if (!(await stat(name)).isDirectory()) return [name];
    const files = await manifestsIn(name, isRecursive);
    if (files.length > 0) return files;
  } catch (error) {
    throw new CodedError('INPUT', `${name}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const advice = isRecursive ? '' : '; use -R to include subfolders';
  throw new CodedError('INPUT', `${name}: no file in it ends in .yaml, .yml or .json${advice}`);
}

async function manifestsIn(folder: string, isRecursive: boolean): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files: string[] = [];
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) {
      if (isRecursive) files.push(...(await manifestsIn(full, true)));
    } else if (manifest.test(entry.name)) files.push(full);
  }
  return files;
}

async function textOf(file: string, read: { isStandardInputRead: boolean }): Promise<string> {
  if (file !== '-')
    try {
      return await readFile(file, 'utf8');
    } catch (error) {
      throw new CodedError('INPUT', `${file}: cannot be read: ${messageOf(error)}`, { cause: error });
    }
  if (read.isStandardInputRead)
    throw new CodedError('INPUT', 'standard input can be read only once: use -f - only once');
  read.isStandardInputRead = true;
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
