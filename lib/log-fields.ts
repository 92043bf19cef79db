/** Bounds the size of a log line's fields. */
import { printable } from './plain-text.ts';

/** Room for the stack of an error. */
const MAX_TEXT = 4000;
/** Characters of all fields together. */
const MAX_LINE = 32_000;
const MAX_ITEMS = 100;
const MAX_DEPTH = 6;

/** Text of an error's stack. */
type StackOf = (error: Error) => string | undefined;

/** What one line has left, in characters, and how it shows stacks. */
interface Budget {
  left: number;
  readonly stackOf: StackOf;
}

/** Copies the fields. Long texts and lists are cut; errors become message, code and stack. */
export function bounded(fields: object, stackOf: StackOf = ({ stack }) => stack): Record<string, unknown> {
  return fieldsOf(fields, { left: MAX_LINE, stackOf }, 0);
}

function copyOf(value: unknown, budget: Budget, depth: number): unknown {
  budget.left -= 1;
  if (typeof value === 'string') return textOf(value, budget);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH || budget.left <= 0) return '…';
  if (value instanceof Error) {
    const { name, message } = value;
    const code = 'code' in value ? { code: value.code } : {};
    return fieldsOf({ type: name, message, ...code, stack: budget.stackOf(value) }, budget, depth + 1);
  }
  if ('toJSON' in value && typeof value.toJSON === 'function')
    return copyOf(value.toJSON(), budget, depth + 1);
  if (!Array.isArray(value)) return fieldsOf(value, budget, depth + 1);
  const items = value.slice(0, MAX_ITEMS).map((item) => copyOf(item, budget, depth + 1));
  return value.length > MAX_ITEMS ? [...items, `… (${value.length} items)`] : items;
}

function fieldsOf(object: object, budget: Budget, depth: number): Record<string, unknown> {
  const keys = Object.keys(object) as (keyof typeof object)[];
  // Use a Map, so that __proto__ is a key like any other.
  const copy = new Map<string, unknown>();
  for (const key of keys.slice(0, MAX_ITEMS))
    copy.set(textOf(key, budget), copyOf(object[key], budget, depth));
  if (keys.length > MAX_ITEMS) copy.set('…', `${keys.length} fields`);
  return Object.fromEntries(copy);
}

function textOf(text: string, budget: Budget): string {
  if (budget.left <= 0) return '…';
  const max = Math.min(MAX_TEXT, budget.left);
  budget.left -= Math.min(text.length, max);
  // JSON escapes control characters without loss.
  return text.length <= max ? text : printable(text, max);
}
