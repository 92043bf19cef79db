/** Status conditions of objects, as Kubernetes defines them. */

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False';
  /** One word, for programs. */
  readonly reason: string;
  /** A sentence, for people. */
  readonly message: string;
  readonly lastTransitionTime?: string;
}

/**
 * Returns the conditions of a status with this one set and the others kept; undefined when it is set already. The
 * transition time is that of the last change between True and False. `now` is in epoch milliseconds. Invalid conditions
 * count as absent.
 */
export function withCondition(
  status: { readonly conditions?: unknown } | undefined | null,
  wanted: Condition,
  now: number,
): readonly Condition[] | undefined {
  const present = conditionsOf(status?.conditions);
  const before = present.find(({ type }) => type === wanted.type);
  if (
    before?.status === wanted.status &&
    before.reason === wanted.reason &&
    before.message === wanted.message
  )
    return undefined;
  const lastTransitionTime =
    before?.status === wanted.status && before.lastTransitionTime
      ? before.lastTransitionTime
      : new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  return [...present.filter(({ type }) => type !== wanted.type), { ...wanted, lastTransitionTime }];
}

/** Returns the conditions in a list from the API; empty for a value that is not a list. */
export function conditionsOf(list: unknown): readonly Condition[] {
  return Array.isArray(list) ? list.filter(isCondition) : [];
}

function isCondition(value: unknown): value is Condition {
  if (typeof value !== 'object' || value === null) return false;
  const { type, status } = value as Record<string, unknown>;
  return typeof type === 'string' && typeof status === 'string';
}
