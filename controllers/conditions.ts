/** Conditions in the status of an object, as Kubernetes has them. */

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
 * The conditions of a status with this one in its place, those of others kept; undefined when it says so already. The
 * time of transition, from epoch milliseconds, is that of the last change between True and False.
 */
export function withCondition(
  status: { readonly conditions?: unknown } | undefined,
  wanted: Condition,
  now: number,
): readonly Condition[] | undefined {
  const present = (status?.conditions ?? []) as readonly Condition[];
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
