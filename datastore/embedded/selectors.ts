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
  const [, member, relation, list = ''] = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(part) ?? [];
  if (member !== undefined) {
    const values = new Set(list.split(',').map((value) => value.trim()));
    return (object) => {
      const value = own(labels(object), member);
      const isIn = value !== undefined && values.has(value);
      return relation === 'in' ? isIn : !isIn;
    };
  }
  const [, key, operator, value] = /^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$/.exec(part) ?? [];
  if (key !== undefined) return (object) => (own(labels(object), key) === value) === (operator !== '!=');
  const [, negation, present] = /^(!?)\s*([^=!\s]+)$/.exec(part) ?? [];
  if (present !== undefined) return (object) => Object.hasOwn(labels(object), present) === (negation === '');
  throw new SyntaxError(`unable to parse requirement: "${part}"`);
}

function parseFields(text: string): Predicate[] {
  if (text === '') return [];
  return text.split(',').map((part) => {
    const [, field, operator, wanted] = /^([a-zA-Z.]+)(==|=|!=)(.*)$/.exec(part.trim()) ?? [];
    if (field === undefined) throw new SyntaxError(`invalid field selector: "${part}"`);
    const path = field.split('.');
    return (object) => {
      const value = path.reduce<unknown>(
        (at, key) =>
          typeof at === 'object' && at !== null ? own(at as Record<string, unknown>, key) : undefined,
        object,
      );
      return (String(value ?? '') === wanted) === (operator !== '!=');
    };
  });
}
