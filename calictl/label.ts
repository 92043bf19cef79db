/** `calictl label`: sets or removes labels of an object. */
import { CodedError } from '../lib/errors.ts';
import { accessTo, type Store } from './access.ts';
import { change } from './change.ts';
import { kindNamed } from './kinds.ts';
import { type NamespaceFlags, namespaceOf } from './place.ts';

export interface LabelFlags extends NamespaceFlags {
  readonly overwrite: boolean;
  readonly remove: boolean;
}

interface Wanted {
  readonly key: string;
  /** Undefined to remove the label. */
  readonly value: string | undefined;
}

/** Changes labels, given as `key=value`, or as `key` with `remove`. Throws CodedError INPUT, or DatastoreError. */
export async function label(
  store: Store,
  kind: string,
  name: string,
  texts: readonly string[],
  flags: LabelFlags,
  note: (sentence: string) => void,
): Promise<string> {
  const definition = kindNamed(kind);
  const wanted = texts.map((text) => parseLabel(text, flags.remove));
  let lines: string[] = [];
  await change(
    accessTo(store, definition, note),
    definition.kind,
    { name, namespace: namespaceOf(definition, flags) },
    (object) => {
      const labels = new Map(Object.entries(object.metadata.labels ?? {}));
      lines = wanted.map((one) => setLabel(labels, one, `${definition.kind} ${name}`, flags));
      return { ...object, metadata: { ...object.metadata, labels: Object.fromEntries(labels) } };
    },
  );
  return lines.join('\n');
}

/** Changes a label. Returns a text about the change. Throws CodedError INPUT. */
function setLabel(
  labels: Map<string, string>,
  { key, value }: Wanted,
  what: string,
  flags: LabelFlags,
): string {
  const present = labels.get(key);
  if (value === undefined) {
    if (!labels.delete(key))
      throw new CodedError('INPUT', `cannot remove label of ${what}, key ${key} does not exist`);
    return `Successfully removed label ${key} from ${what}`;
  }
  if (present !== undefined && present !== value && !flags.overwrite)
    throw new CodedError('INPUT', `label ${key} of ${what} is ${present}: add --overwrite to change it`);
  labels.set(key, value);
  return `Successfully ${present === undefined ? 'set' : 'updated'} label ${key} on ${what}`;
}

function parseLabel(text: string, isRemoval: boolean): Wanted {
  const [key = '', value] = text.split(/=(.*)/s);
  if (!key || (value === undefined) !== isRemoval)
    throw new CodedError('INPUT', `label ${text}: write key=value, or key with --remove`);
  return { key, value };
}
