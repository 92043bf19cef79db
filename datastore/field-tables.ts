/** Field tables of docs/calico.md, from the schemas: every field of Calico's kinds and its support in Cali. */
import { jsonSchemaOf } from './json-schema.ts';
import { registry } from './registry.ts';
import { CALICO_GROUP, type ResourceDefinition } from './schema/resource.ts';

export const TABLES_START = '<!-- fields: npm run crds -->';
export const TABLES_END = '<!-- /fields -->';

/** Kinds that users do not write. */
const internal: ReadonlySet<string> = new Set(['IPAMBlock', 'BlockAffinity', 'IPAMHandle']);

interface Field {
  /** Path such as `spec.controllers.node.syncLabels`; `[]` and `{}` are the members of lists and maps. */
  readonly path: string;
  readonly state: 'implemented' | 'without effect' | 'Cali only';
  readonly description: string;
}

/** Returns the fields of a kind below `spec`, nested ones included. */
export function fieldsOf(definition: ResourceDefinition): Field[] {
  const { properties } = jsonSchemaOf(definition) as unknown as JsonSchema;
  const inert = Object.keys(definition.withoutEffect ?? {});
  return below(properties?.['spec'], { path: 'spec', isOwn: false }).map(({ path, description, isOwn }) => {
    const plain = path.replaceAll('[]', '').replace(/^spec\./, '');
    if (inert.some((one) => plain === one || plain.startsWith(`${one}.`)))
      return { path, description, state: 'without effect' };
    return { path, description, state: isOwn ? 'Cali only' : 'implemented' };
  });
}

interface JsonSchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
}

/** A field. `isOwn`: Calico lacks it or a field that contains it. */
interface Place {
  readonly path: string;
  readonly isOwn: boolean;
}

function below(schema: JsonSchema | undefined, at: Place): (Place & { description: string })[] {
  const members = schema?.items?.properties ?? schema?.properties ?? {};
  const prefix = schema?.items ? `${at.path}[]` : at.path;
  return Object.entries(members).flatMap(([name, member]) => {
    const description = member.description ?? '';
    const place = { path: `${prefix}.${name}`, isOwn: at.isOwn || description.includes('Not in Calico') };
    return [{ ...place, description }, ...below(member, place)];
  });
}

/** Returns a heading and a table per kind. */
export function fieldTables(): string {
  return registry
    .filter(({ group, kind }) => group === CALICO_GROUP && !internal.has(kind))
    .map((definition) => `### ${definition.kind}\n\n${table(fieldsOf(definition))}`)
    .join('\n\n');
}

function table(fields: readonly Field[]): string {
  const rows = fields.map(({ path, state, description }) => [`\`${path}\``, state, cell(description)]);
  const all = [['field', 'Cali', 'meaning'], ...rows];
  // Biome's format: columns as wide as their widest cell.
  const widths = [0, 1, 2].map((column) => Math.max(3, ...all.map((row) => [...row[column]!].length)));
  const line = (row: readonly string[], filler: string) =>
    `| ${row.map((text, column) => text + filler.repeat(widths[column]! - [...text].length)).join(' | ')} |`;
  const [head = [], ...body] = all;
  return [line(head, ' '), line(['', '', ''], '-'), ...body.map((row) => line(row, ' '))].join('\n');
}

function cell(text: string): string {
  return text
    .replace(/^Accepted, without effect: /, '')
    .replaceAll('|', '\\|')
    .replaceAll('\n', ' ');
}

/** Returns the document with its tables generated from the schemas; undefined when it lacks the markers. */
export function withTables(document: string): string | undefined {
  const start = document.indexOf(TABLES_START);
  const end = document.indexOf(TABLES_END);
  if (start < 0 || end < start) return undefined;
  return `${document.slice(0, start + TABLES_START.length)}\n\n${fieldTables()}\n\n${document.slice(end)}`;
}
