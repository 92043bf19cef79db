/** Printer columns: the simple JSONPath subset that CRDs use, and the text of values. */
import type { AnyResource, Column } from './schema/resource.ts';

/**
 * Returns the value at a path such as `.spec.cidr`, `.metadata.annotations.a\.b/C` or
 * `.status.conditions[?(@.type=="Ready")].status`, or undefined.
 */
export function valueAt(object: unknown, path: string): unknown {
  const steps = path.match(/(?:\\\.|[^.[\]])+|\[\?\(@\.\w+=="[^"]*"\)\]/g) ?? [];
  let at: unknown = object;
  for (const step of steps) {
    const [, field, value] = /^\[\?\(@\.(\w+)=="([^"]*)"\)\]$/.exec(step) ?? [];
    if (field === undefined) at = fieldOf(at, step.replaceAll('\\.', '.'));
    else at = Array.isArray(at) ? at.find((item) => fieldOf(item, field) === value) : undefined;
  }
  return at;
}

function fieldOf(value: unknown, name: string): unknown {
  const isObject = typeof value === 'object' && value !== null;
  return isObject && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

/** Returns the cell of a column: text, number or boolean; for a date, an age such as `3m12s`. */
export function cellOf(object: AnyResource, column: Column, now: number): string | number | boolean {
  const value = valueAt(object, column.path);
  if (value === undefined || value === null) return '';
  if (column.type === 'date') return ageOf(now - Date.parse(String(value)));
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Formats a duration as kubectl formats ages; NaN is that of a malformed date. */
export function ageOf(milliseconds: number): string {
  if (Number.isNaN(milliseconds)) return '<unknown>';
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return `${minutes}m${seconds % 60 ? `${seconds % 60}s` : ''}`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}
