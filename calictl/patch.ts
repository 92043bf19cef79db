/** `calictl patch`: applies a patch to the stored object, validates the result and writes it back. */
import { patchTypes } from '../datastore/embedded/patch.ts';
import { DatastoreError } from '../datastore/errors.ts';
import { type AnyResource, type ResourceDefinition, resourceOf } from '../datastore/schema/resource.ts';
import { describeInvalid, describeUnknownField, validateResource } from '../datastore/validate.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import { printable } from '../lib/plain-text.ts';
import { parseYaml } from '../lib/yaml.ts';
import { accessTo, type Store } from './access.ts';
import { change } from './change.ts';
import { kindNamed } from './kinds.ts';
import { type NamespaceFlags, namespaceOf } from './place.ts';
import { warningsAbout } from './warnings.ts';

export const patchForms = ['strategic', 'json', 'merge'] as const;
export interface PatchFlags extends NamespaceFlags {
  readonly patch: string;
  /** Calico's kinds have no lists that merge by key, so strategic is a merge patch with directives. */
  readonly type: (typeof patchForms)[number];
}

/** Parts of an object that a patch cannot change. The server ignores them, so reporting success would be wrong. */
const fixed = ['apiVersion', 'kind', 'status'] as const;
const fixedMetadata = ['name', 'namespace', 'uid', 'creationTimestamp', 'generation'] as const;

/** Patches an object. Throws CodedError PATCH for an invalid patch, FAILED if it does not apply, KIND or INPUT. */
export async function patch(
  store: Store,
  kind: string,
  name: string,
  flags: PatchFlags,
  note: (sentence: string) => void,
): Promise<string> {
  const definition = kindNamed(kind);
  const parsed = parsePatch(flags);
  const target = { name, namespace: namespaceOf(definition, flags) };
  try {
    let warnings: string[] = [];
    const isChanged = await change(accessTo(store, definition, note), definition.kind, target, (stored) => {
      const result = patched(definition, stored, parsed, flags.type);
      warnings = warningsAbout(definition, result);
      return result;
    });
    for (const warning of warnings) note(warning);
    return `Successfully patched 1 '${definition.kind}' resource${isChanged ? '' : ' (no change)'}`;
  } catch (error) {
    if (!(error instanceof DatastoreError) && !(error instanceof RangeError)) throw error;
    const message = `Failed to patch '${definition.kind}' resource ${name}: ${error.message}`;
    throw new CodedError('FAILED', message, { cause: error });
  }
}

/** Returns the patched object. Throws RangeError, SyntaxError or DatastoreError when it would not match the patch. */
function patched(
  definition: ResourceDefinition,
  stored: AnyResource,
  text: Patch,
  type: PatchFlags['type'],
): AnyResource {
  const contentType = type === 'strategic' ? 'strategic-merge' : type;
  const apply = patchTypes[`application/${contentType}-patch+json`];
  if (!apply) throw new RangeError(`unknown patch type ${type}`);
  let result: AnyResource | undefined;
  try {
    result = resourceOf(apply(JSON.parse(JSON.stringify(stored)), text));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new RangeError(error.message, { cause: error });
  }
  if (!result) throw new RangeError('the patch would remove apiVersion, kind or metadata.name');
  dropEmptied(result, stored);
  const differs = (a: unknown, b: unknown) => JSON.stringify(a) !== JSON.stringify(b);
  const { metadata } = result;
  const changed = [
    ...fixed.filter((field) => differs(result[field], stored[field])),
    ...fixedMetadata
      .filter((field) => differs(metadata[field], stored.metadata[field]))
      .map((field) => `metadata.${field}`),
  ];
  if (changed.length > 0)
    throw new RangeError(
      `${changed.join(', ')}: a patch cannot change ${changed.length === 1 ? 'this field' : 'these fields'}`,
    );
  const unknown = unknownFields(definition, stored);
  const { unknownFields: fields, ...validation } = validateResource(definition, result);
  const added = fields.filter((field) => !unknown.includes(field));
  if (added.length > 0)
    throw new RangeError(added.map((field) => describeUnknownField(definition, field)).join(', '));
  if (!validation.ok) throw new RangeError(describeInvalid(definition, metadata.name, validation.errors));
  return result;
}

/** Removes objects of the spec that lost their last field, because an empty object has a different meaning. */
function dropEmptied(result: AnyResource, stored: AnyResource): void {
  const [spec, before] = [result['spec'], stored['spec']];
  if (!isRecord(spec) || !isRecord(before)) return;
  for (const [key, value] of Object.entries(spec))
    if (isRecord(value) && Object.keys(value).length === 0 && !isEmptyRecord(before[key])) delete spec[key];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEmptyRecord(value: unknown): boolean {
  return value === undefined || (isRecord(value) && Object.keys(value).length === 0);
}

function unknownFields(definition: ResourceDefinition, object: AnyResource): readonly string[] {
  return validateResource(definition, object).unknownFields;
}

type Patch = Parameters<NonNullable<(typeof patchTypes)[string]>>[1];

function parsePatch({ patch: text, type }: PatchFlags): Patch {
  const shown = `-p ${printable(text, 200)}`;
  let value: unknown;
  try {
    value = parseYaml(text);
  } catch (error) {
    throw new CodedError('PATCH', `${shown}: ${messageOf(error)}`, { cause: error });
  }
  const isList = Array.isArray(value);
  const isObject = typeof value === 'object' && value !== null && !isList;
  if (type === 'json' && !isList)
    throw new CodedError(
      'PATCH',
      `${shown}: --type json requires a list such as '[{"op":"replace","path":"/spec/disabled","value":true}]'`,
    );
  if (type !== 'json' && !isObject)
    throw new CodedError(
      'PATCH',
      `${shown}: must be an object as JSON or YAML, such as '{"spec":{"disabled":true}}'`,
    );
  return JSON.parse(JSON.stringify(value));
}
