/**
 * Calico's fields that Cali accepts but does not implement, each with a reason. calictl and the embedded API server
 * warn with it when a user writes such a field; agents log it and show it in their status.
 */

/** Why a field has no effect. */
export interface WithoutEffect {
  /** A clause that says what Cali does instead, or does not do. */
  readonly reason: string;
  /** Values that match what Cali does anyway, so there is no warning. */
  readonly neutral?: readonly unknown[];
}

/** By path below `spec`, such as `controllers.node.syncLabels`. */
export type FieldsWithoutEffect = Readonly<Record<string, WithoutEffect>>;

/** A field of one object that has no effect. */
export interface Notice {
  /** Path such as `spec.bpfEnabled`. */
  readonly field: string;
  /** A sentence without its subject, such as `has no effect: …`. */
  readonly message: string;
}

/** Returns the object's fields that have no effect, except empty and neutral values. */
export function noticesOf(
  { withoutEffect = {} }: { readonly withoutEffect?: FieldsWithoutEffect },
  object: unknown,
): Notice[] {
  const spec = memberOf(object, 'spec');
  return Object.entries(withoutEffect).flatMap(([path, { reason, neutral = [] }]) => {
    const value = path.split('.').reduce<unknown>(memberOf, spec);
    if (isEmpty(value) || neutral.some((one) => isSame(one, value))) return [];
    return [{ field: `spec.${path}`, message: `has no effect: ${reason}` }];
  });
}

/** Returns the description of such a field, for the CRD. */
export function describeReason(reason: string): string {
  return `Accepted, without effect: ${reason}.`;
}

/** Returns a sentence such as `spec.bpfEnabled has no effect: …`. */
export function describeNotice({ field, message }: Notice): string {
  return `${field} ${message}`;
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** Compares values; text in any case, as Calico does. */
function isSame(a: unknown, b: unknown): boolean {
  return typeof a === 'string' && typeof b === 'string' ? a.toLowerCase() === b.toLowerCase() : a === b;
}
