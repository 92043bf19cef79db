/**
 * The definition of a kind: its names, schema, table columns, and the rules that a schema cannot express. Everything
 * else about the kind derives from this one value: TypeScript type, defaults, server-side validation, CRD, and the
 * tables of kubectl and calictl.
 */
import { z } from 'zod';
import type { FieldsWithoutEffect } from './without-effect.ts';

/** An invalid field, worded as the Kubernetes API server words it. */
export interface FieldError {
  /** Path such as `spec.cidr`. */
  readonly field: string;
  /** A sentence with the fault and the remedy. */
  readonly message: string;
  readonly value?: unknown;
  /** The object still works when a server without our rules stored it. */
  readonly isHarmless?: boolean;
}

/**
 * Replacement for an unreadable field of `spec` that has no former version: its default, the list without the invalid
 * elements, or a value that does less harm than the default.
 */
export type Fallback = 'default' | 'drop elements' | { readonly value: unknown };

/** A column of `kubectl get`. `path` is a simple JSONPath below the object. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly path: string;
  /** 0: always shown. 1: only with `-o wide`. */
  readonly priority?: number;
  readonly description?: string;
}

/** The existing objects, for rules across objects. */
export interface Existing {
  list(plural: string): readonly AnyResource[];
}

export interface ResourceDefinition<S extends z.ZodType = z.ZodType> {
  readonly group: string;
  readonly version: string;
  /** Versions of servers that lack `version`. The schema reads these too. */
  readonly olderVersions?: readonly string[];
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  readonly hasStatus: boolean;
  readonly schema: S;
  readonly columns: readonly Column[];
  /** Rules beyond the schema; `old` is the stored object on an update. */
  readonly validate?: (object: z.output<S>, old: z.output<S> | undefined, existing: Existing) => FieldError[];
  /** Fields of `spec` that are replaceable one by one (datastore/read-object.ts). Other faults reject the object. */
  readonly fallbacks?: Readonly<Record<string, Fallback>>;
  /** Reading ignores unknown fields at any depth; otherwise only those directly in `spec`. */
  readonly ignoresUnknown?: boolean;
  /** Fields of `spec` that are accepted and do nothing (without-effect.ts). */
  readonly withoutEffect?: FieldsWithoutEffect;
}

export const CALICO_GROUP = 'projectcalico.org';

const labels = z.record(z.string(), z.string());

/** The parts of metadata that Cali reads or writes; it keeps the others unchanged. */
export const objectMeta = z.looseObject({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  generation: z.number().int().optional(),
  creationTimestamp: z.string().nullish(),
  deletionTimestamp: z.string().nullish(),
  finalizers: z.array(z.string()).nullish(),
  labels: labels.nullish(),
  annotations: labels.nullish(),
  ownerReferences: z.array(z.looseObject({ kind: z.string(), name: z.string(), uid: z.string() })).nullish(),
});

export type ObjectMeta = z.output<typeof objectMeta>;

/** All fields of Kubernetes' ObjectMeta. The API server refuses or drops others. */
export const metadataFields: readonly string[] = [
  ...Object.keys(objectMeta.shape),
  ...['generateName', 'selfLink', 'deletionGracePeriodSeconds', 'managedFields'],
];

/** Any object of the API. */
export interface AnyResource {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

/** The part that all objects of the API have. */
export const anyResource = z.looseObject({ apiVersion: z.string(), kind: z.string(), metadata: objectMeta });

/** Returns the value as an object of the API; undefined when it is not one. */
export function resourceOf(value: unknown): AnyResource | undefined {
  const result = anyResource.safeParse(value);
  return result.success ? result.data : undefined;
}

/** Returns the schema of a `projectcalico.org/v3` object with this `spec`. */
export function calicoObject<K extends string, S extends z.ZodType>(kind: K, spec: S) {
  return z.strictObject({
    apiVersion: z.literal(`${CALICO_GROUP}/v3`),
    kind: z.literal(kind),
    metadata: objectMeta,
    spec,
  });
}

/** `status` of a kind whose conditions the controllers write. */
export const conditionsStatus = z.looseObject({}).optional().describe('Conditions that Cali observed.');

/** Returns the definition of a cluster-scoped kind in Calico's group. */
export function calicoKind<S extends z.ZodType>(
  names: { kind: string; plural: string; singular: string; shortNames?: readonly string[] },
  schema: S,
  columns: readonly Column[],
  validate?: ResourceDefinition<S>['validate'],
): ResourceDefinition<S> {
  return {
    group: CALICO_GROUP,
    version: 'v3',
    shortNames: [],
    ...names,
    namespaced: false,
    hasStatus: false,
    schema,
    columns,
    ...(validate ? { validate } : {}),
  };
}

/** Returns `group/version`, or `v1` for the core group. */
export function apiVersionOf(definition: ResourceDefinition): string {
  return definition.group === '' ? definition.version : `${definition.group}/${definition.version}`;
}

export const ageColumn: Column = { name: 'Age', type: 'date', path: '.metadata.creationTimestamp' };

/** Returns the wide column with the reason of a condition in the status. */
export function conditionColumn(type: string): Column {
  return { name: type, type: 'string', path: `.status.conditions[?(@.type=="${type}")].reason`, priority: 1 };
}
