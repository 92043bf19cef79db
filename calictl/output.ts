/** `-o` of `calictl get`: which form, and objects in it. */
import { stringify } from 'yaml';
import { type AnyResource, apiVersionOf, type ResourceDefinition } from '../datastore/schema/resource.ts';
import { CodedError } from '../lib/errors.ts';
import { printable } from '../lib/plain-text.ts';

export type Output =
  | { readonly form: 'yaml' | 'json' | 'name' }
  | { readonly form: 'table'; readonly isWide: boolean; readonly columns?: readonly string[] };

const FORMS = 'ps, wide, yaml, json, name or custom-columns=NAME,…';

/** Throws CodedError INPUT. */
export function parseOutput(text: string): Output {
  switch (text) {
    case 'yaml':
    case 'yml':
      return { form: 'yaml' };
    case 'json':
    case 'name':
      return { form: text };
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
    case 'go-template-file':
      throw new CodedError('INPUT', `-o ${key} is not supported: use -o json with jq, or -o ${FORMS}`);
    default:
      throw new CodedError('INPUT', `unrecognized output format '${printable(text, 100)}': use ${FORMS}`);
  }
}

/** One object, or a list of a kind, or an array of objects that were named one by one, as calicoctl has it. */
export type Shown =
  | { readonly object: unknown }
  | { readonly definition: ResourceDefinition; readonly items: readonly unknown[] }
  | { readonly objects: readonly unknown[] };

export function renderObjects(shown: Shown, form: 'yaml' | 'json'): string {
  const value = asValue(shown);
  return form === 'json' ? JSON.stringify(value, undefined, 2) : stringify(value).trimEnd();
}

function asValue(shown: Shown): unknown {
  if ('object' in shown) return shown.object;
  if ('objects' in shown) return shown.objects;
  const { definition, items } = shown;
  return { apiVersion: apiVersionOf(definition), kind: `${definition.kind}List`, metadata: {}, items };
}

/** `ippool.projectcalico.org/pool1`, as kubectl names objects. */
export function renderName({ group, singular }: ResourceDefinition, { metadata }: AnyResource): string {
  return `${singular}${group === '' ? '' : `.${group}`}/${metadata.name}`;
}

/** Fields that only the object's own cluster can know. */
const ofCluster = new Set([
  ...['namespace', 'uid', 'resourceVersion', 'creationTimestamp', 'generation', 'selfLink'],
  ...['deletionTimestamp', 'deletionGracePeriodSeconds'],
]);

/** Who wrote which field is the server's own record; `isExport` also leaves out what only this cluster knows. */
export function withoutServerFields(object: unknown, isExport: boolean): unknown {
  if (typeof object !== 'object' || object === null || !('metadata' in object)) return object;
  const { metadata } = object;
  if (typeof metadata !== 'object' || metadata === null) return object;
  const kept = Object.entries(metadata).filter(
    ([key]) => key !== 'managedFields' && !(isExport && ofCluster.has(key)),
  );
  return { ...object, metadata: Object.fromEntries(kept) };
}
