/**
 * Fields that Calico has and Cali accepts without doing what they ask. Each has a reason: whoever writes such a field gets
 * it as a warning (calictl, the embedded API server), and agents log it and show it in their status.
 */

/** Why a field has no effect. */
export interface WithoutEffect {
  /** A clause: what Cali does instead, or does not do. */
  readonly reason: string;
  /** Values that ask for what Cali does anyway: no warning is due. */
  readonly neutral?: readonly unknown[];
}

/** By path below `spec`, such as `controllers.node.syncLabels`. */
export type FieldsWithoutEffect = Readonly<Record<string, WithoutEffect>>;

/** One field of one object that asks for something Cali does not do. */
export interface Notice {
  /** Path such as `spec.bpfEnabled`. */
  readonly field: string;
  /** A sentence without its subject: `has no effect: …`. */
  readonly message: string;
}

/** What an object asks for in vain. Empty values and those that Cali does anyway are not mentioned. */
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

/** The description of such a field, for the CRD. */
export function describeReason(reason: string): string {
  return `Accepted, without effect: ${reason}.`;
}

/** `spec.bpfEnabled has no effect: …`. */
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

/** Words of Calico's parameters count in any case. */
function isSame(a: unknown, b: unknown): boolean {
  return typeof a === 'string' && typeof b === 'string' ? a.toLowerCase() === b.toLowerCase() : a === b;
}
