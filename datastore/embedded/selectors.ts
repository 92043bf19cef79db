/** Kubernetes label and field selectors, as in `?labelSelector=` and `?fieldSelector=`. */
import type { AnyResource } from '../schema/resource.ts';

/** Characters. */
const MAX_LENGTH = 4096;

export type Predicate = (object: AnyResource) => boolean;

/** Parses both selectors into one predicate. Throws SyntaxError with the reason. */
export function parseSelectors(labelSelector: string | null, fieldSelector: string | null): Predicate {
  const tests = [...parseLabels(labelSelector ?? ''), ...parseFields(fieldSelector ?? '')];
  return (object) => tests.every((test) => test(object));
}

function own<T>(object: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function parseLabels(text: string): Predicate[] {
  if (text.length > MAX_LENGTH) throw new SyntaxError(`a selector of ${text.length} characters is too long`);
  // Split at commas outside parentheses.
  const parts = text.match(/(?:[^,(]|\([^)]*\))+/g) ?? [];
  return parts.map((part) => labelTest(part.trim()));
}

function labelTest(part: string): Predicate {
  const labels = (object: AnyResource) => object.metadata.labels ?? {};
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(part);
  if (set) {
    const [, key, operator, list] = set as unknown as [string, string, string, string];
    const values = new Set(list.split(',').map((value) => value.trim()));
    return (object) => {
      const value = own(labels(object), key);
      const isIn = value !== undefined && values.has(value);
      return operator === 'in' ? isIn : !isIn;
    };
  }
  const equality = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(part);
  if (equality) {
    const [, key, operator, value] = equality as unknown as [string, string, string, string];
    return (object) => (own(labels(object), key) === value) === (operator !== '!=');
  }
  const existence = /^(!?)\s*([^=!\s]+)$/.exec(part);
  if (existence) return (object) => Object.hasOwn(labels(object), existence[2]!) === (existence[1] === '');
  throw new SyntaxError(`unable to parse requirement: "${part}"`);
}

function parseFields(text: string): Predicate[] {
  if (text === '') return [];
  return text.split(',').map((part) => {
    const match = /^([a-zA-Z.]+)(==|=|!=)(.*)$/.exec(part.trim());
    if (!match) throw new SyntaxError(`invalid field selector: "${part}"`);
    const path = match[1]!.split('.');
    return (object) => {
      const value = path.reduce<unknown>(
        (at, key) =>
          typeof at === 'object' && at !== null ? own(at as Record<string, unknown>, key) : undefined,
        object,
      );
      return (String(value ?? '') === match[3]) === (match[2] !== '!=');
    };
  });
}
