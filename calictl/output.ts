/** `-o` of `calictl get`: parses the format and renders objects. */
import { readFile } from 'node:fs/promises';
import { type AnyResource, apiVersionOf, type ResourceDefinition } from '../datastore/schema/resource.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import { printable } from '../lib/plain-text.ts';
import { toYaml } from '../lib/yaml.ts';
import { renderTemplate } from './go-template.ts';

export type Output =
  | StructuredOutput
  | { readonly form: 'name' }
  | { readonly form: 'template-file'; readonly file: string }
  | { readonly form: 'table'; readonly isWide: boolean; readonly columns?: readonly string[] };

const FORMS = 'ps, wide, yaml, json, name, custom-columns=NAME,…, go-template=… or go-template-file=FILE';

/** Formats with complete objects. */
type StructuredOutput =
  | { readonly form: 'yaml' | 'json' }
  | { readonly form: 'template'; readonly template: string };

/** Replaces a template file by its content. Throws CodedError INPUT. */
export async function withTemplate(output: Output): Promise<Exclude<Output, { form: 'template-file' }>> {
  if (output.form !== 'template-file') return output;
  try {
    return { form: 'template', template: await readFile(output.file, 'utf8') };
  } catch (error) {
    throw new CodedError('INPUT', `${output.file}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** Parses the value of `-o`. Throws CodedError INPUT. */
export function parseOutput(text: string): Output {
  switch (text) {
    case 'yaml':
    case 'yml':
      return { form: 'yaml' };
    case 'json':
      return { form: 'json' };
    case 'name':
      return { form: 'name' };
    case 'ps':
    case 'table':
      return { form: 'table', isWide: false };
    case 'wide':
      return { form: 'table', isWide: true };
    default:
  }
  const [key = '', value] = text.split(/=(.*)/s);
  switch (key) {
    case 'custom-columns':
      if (value) return { form: 'table', isWide: false, columns: value.split(',') };
      throw new CodedError('INPUT', 'need to specify at least one column: -o custom-columns=NAME,…');
    case 'go-template':
      if (value) return { form: 'template', template: value };
      throw new CodedError('INPUT', 'need to specify a template: -o go-template={{…}}');
    case 'go-template-file':
      if (value) return { form: 'template-file', file: value };
      throw new CodedError('INPUT', 'need to specify a template file: -o go-template-file=FILE');
    default:
      throw new CodedError('INPUT', `unrecognized output format '${printable(text, 100)}': use ${FORMS}`);
  }
}

/** An object, a list of a kind, or an array of individually named objects, as in calicoctl. */
export type Shown =
  | { readonly object: unknown }
  | { readonly definition: ResourceDefinition; readonly items: readonly unknown[] }
  | { readonly objects: readonly unknown[] };

/** Renders objects. As in calicoctl, a template receives a list: the list of the kind, or the named objects. */
export function renderObjects(shown: Shown, output: StructuredOutput): string {
  const { form } = output;
  const value = asValue(shown);
  if (form === 'template') {
    const data = 'objects' in shown ? shown.objects : [value];
    return renderTemplate(output.template, data).replace(/\n$/, '');
  }
  return form === 'json' ? JSON.stringify(value, undefined, 2) : toYaml(value);
}

function asValue(shown: Shown): unknown {
  if ('object' in shown) return shown.object;
  if ('objects' in shown) return shown.objects;
  const { definition, items } = shown;
  return { apiVersion: apiVersionOf(definition), kind: `${definition.kind}List`, metadata: {}, items };
}

/** Returns a name in kubectl's form, such as `ippool.projectcalico.org/pool1`. */
export function renderName({ group, singular }: ResourceDefinition, { metadata }: AnyResource): string {
  return `${singular}${group === '' ? '' : `.${group}`}/${metadata.name}`;
}

/** Metadata that is specific to the object's cluster. */
const ofCluster = new Set([
  ...['namespace', 'uid', 'resourceVersion', 'creationTimestamp', 'generation', 'selfLink'],
  ...['deletionTimestamp', 'deletionGracePeriodSeconds'],
]);

/** Removes managedFields, the server's own record. `isExport` also removes metadata that is specific to the cluster. */
export function withoutServerFields(object: unknown, isExport: boolean): unknown {
  if (typeof object !== 'object' || object === null || !('metadata' in object)) return object;
  const { metadata } = object;
  if (typeof metadata !== 'object' || metadata === null) return object;
  const kept = Object.entries(metadata).filter(
    ([key]) => key !== 'managedFields' && !(isExport && ofCluster.has(key)),
  );
  return { ...object, metadata: Object.fromEntries(kept) };
}
