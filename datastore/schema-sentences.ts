/** Words the faults that zod finds. Every sentence follows the name of the field: `spec.cidr: is required`. */
import type { z } from 'zod';

const types: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

/** Error map for `safeParse`. Messages in the schema come first; undefined leaves the wording to zod. */
export function schemaSentence(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type': {
      if (issue.input === undefined) return 'is required';
      const type = types[issue.expected];
      if (type === undefined) return undefined;
      const isFraction = issue.expected === 'int' && typeof issue.input === 'number';
      return isFraction ? `must be ${type}` : `must be ${type}, not ${typeOf(issue.input)}`;
    }
    case 'invalid_value': {
      const values = listOf(issue.values.map((value) => (value === '' ? 'empty' : String(value))));
      return issue.input === undefined ? `is required: ${values}` : `must be ${values}`;
    }
    case 'invalid_union':
      return issue.input === undefined ? 'is required' : ofUnion(issue.errors);
    case 'invalid_key':
      return issue.issues[0]?.message;
    case 'unrecognized_keys': {
      const names = issue.keys.map((key) => `"${key}"`).join(', ');
      return issue.keys.length === 1
        ? `unknown field ${names}: remove it`
        : `unknown fields ${names}: remove them`;
    }
    case 'too_small':
      return limit(
        issue.origin,
        issue.exact ? 'exactly' : issue.inclusive === false ? 'more than' : 'at least',
        issue.minimum,
      );
    case 'too_big':
      return limit(
        issue.origin,
        issue.exact ? 'exactly' : issue.inclusive === false ? 'less than' : 'at most',
        issue.maximum,
      );
    case 'invalid_format':
      return issue.pattern === undefined ? undefined : `must match ${issue.pattern}`;
    default:
      return undefined;
  }
}

/** Joins the types or values that a union accepts. A fault of a value of the right type is more exact. */
function ofUnion(members: readonly (readonly z.core.$ZodIssue[])[]): string | undefined {
  const faults = members.flatMap((faults) => faults.slice(0, 1));
  const exact = faults.find(({ code }) => code !== 'invalid_type' && code !== 'invalid_value');
  if (exact || faults.length === 0) return exact?.message;
  return `must be ${listOf(faults.map(({ message }) => message.replace(/^must be |, not .*$/g, '')))}`;
}

function limit(origin: string, bound: string, count: number | bigint): string {
  if (origin === 'string' && bound === 'at least' && count === 1) return 'must not be empty';
  const unit = { string: 'character', array: 'element' }[origin];
  return unit === undefined
    ? `must be ${bound} ${count}`
    : `must have ${bound} ${count} ${unit}${Number(count) === 1 ? '' : 's'}`;
}

function typeOf(input: unknown): string {
  if (input === null) return 'null';
  if (Array.isArray(input)) return 'a list';
  return typeof input === 'boolean' ? 'a boolean' : (types[typeof input] ?? typeof input);
}

function listOf(names: readonly string[]): string {
  const distinct = [...new Set(names)];
  return distinct.length < 2 ? distinct.join() : `${distinct.slice(0, -1).join(', ')} or ${distinct.at(-1)}`;
}
