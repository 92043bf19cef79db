/** Resource documents from files: YAML or JSON, many in one file, Lists unfolded. */
import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { CodedError, messageOf } from '../lib/errors.ts';
import { findKind } from './registry.ts';
import { type AnyResource, apiVersionOf, type ResourceDefinition } from './schema/resource.ts';
import { describeInvalid, validateResource } from './validate.ts';

export interface Document {
  readonly definition: ResourceDefinition;
  readonly object: AnyResource;
}

/** Reads a file, or standard input for `-`. Throws CodedError INPUT that names the file, the object and the field. */
export async function readDocuments(file: string): Promise<Document[]> {
  let text: string;
  try {
    text = file === '-' ? await readStandardInput() : await readFile(file, 'utf8');
  } catch (error) {
    throw new CodedError('INPUT', `${file}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
  return parseDocuments(text, file);
}

/** The same for text that is here already; `file` is its name in sentences. */
export function parseDocuments(text: string, file: string): Document[] {
  const documents: Document[] = [];
  for (const parsed of parseAllDocuments(text)) {
    const [fault] = parsed.errors;
    if (fault) throw new CodedError('INPUT', `${file}: ${fault.message}`);
    const value = parsed.toJS() as AnyResource | null;
    if (value === null) continue;
    const items =
      typeof value.kind === 'string' && value.kind.endsWith('List')
        ? (value['items'] as AnyResource[])
        : [value];
    for (const item of items) documents.push(documentOf(item, file));
  }
  if (documents.length === 0) throw new CodedError('INPUT', `${file}: no resources in it`);
  return documents;
}

async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function documentOf(object: AnyResource, file: string): Document {
  const kind = String(object.kind);
  const definition = findKind(kind);
  if (!definition) throw new CodedError('INPUT', `${file}: kind ${kind} is not known here`);
  const expected = apiVersionOf(definition);
  if (object.apiVersion !== expected) {
    throw new CodedError(
      'INPUT',
      `${file}: ${kind} ${object.metadata?.name}: apiVersion is ${object.apiVersion}, it has to be ${expected}`,
    );
  }
  const result = validateResource(definition, object);
  if (!result.ok)
    throw new CodedError(
      'INPUT',
      `${file}: ${describeInvalid(definition, String(object.metadata?.name), result.errors)}`,
    );
  if (result.unknownFields.length > 0) {
    throw new CodedError(
      'INPUT',
      `${file}: ${kind} ${object.metadata.name}: unknown field ${result.unknownFields.join(', ')}`,
    );
  }
  return { definition, object };
}
