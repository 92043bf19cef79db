/**
 * What makes a kind: its names, its schema, its table columns and the rules that a schema cannot say.
 * Everything else about a kind (TypeScript type, defaults, server-side validation, CRD, kubectl's and
 * calictl's tables) is derived from this one value.
 */
import { z } from 'zod';
import type { FieldsWithoutEffect } from './without-effect.ts';

/** An invalid field, worded as the Kubernetes API server words it. */
export interface FieldError {
  /** Path such as `spec.cidr`. */
  readonly field: string;
  /** The sentence: what is wrong and what to do. */
  readonly message: string;
  readonly value?: unknown;
  /** A server without our rules may store it: the object works all the same. */
  readonly isHarmless?: boolean;
}

/**
 * What stands in for a field of `spec` that cannot be read while there is no former version: its default, the list
 * without the wrong elements, or a value that harms less than the default.
 */
export type Fallback = 'default' | 'drop elements' | { readonly value: unknown };

/** A column of `kubectl get`: a simple JSONPath below the object. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly path: string;
  /** 0 is always shown, 1 only with `-o wide`. */
  readonly priority?: number;
  readonly description?: string;
}

/** Objects of the same kind that already exist, for rules across objects. */
export interface Existing {
  list(plural: string): readonly AnyResource[];
}

export interface ResourceDefinition<S extends z.ZodType = z.ZodType> {
  readonly group: string;
  readonly version: string;
  /** What servers have that do not have that yet; the schema reads these too. */
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
  /** Fields of `spec` that can be replaced one by one (datastore/read-object.ts). A fault elsewhere costs the object. */
  readonly fallbacks?: Readonly<Record<string, Fallback>>;
  /** Unknown fields at any depth are left out when an object is read; elsewhere only those of `spec` itself are. */
  readonly ignoresUnknown?: boolean;
  /** Fields of `spec` that are accepted and do nothing (without-effect.ts). */
  readonly withoutEffect?: FieldsWithoutEffect;
}

export const CALICO_GROUP = 'projectcalico.org';

const labels = z.record(z.string(), z.string());

/** The parts of metadata that are read or written here; the rest is kept as it is. */
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

/** Any object of the API. */
export interface AnyResource {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

const anyResource = z.looseObject({ apiVersion: z.string(), kind: z.string(), metadata: objectMeta });

/** A value that an API answered, when it is an object of the API. */
export function resourceOf(value: unknown): AnyResource | undefined {
  const result = anyResource.safeParse(value);
  return result.success ? result.data : undefined;
}

/** Envelope of a `projectcalico.org/v3` object. */
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

/** A definition in the Calico group, cluster scoped. */
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

/** `group/version`, or `v1` for the core group. */
export function apiVersionOf(definition: ResourceDefinition): string {
  return definition.group === '' ? definition.version : `${definition.group}/${definition.version}`;
}

export const ageColumn: Column = { name: 'Age', type: 'date', path: '.metadata.creationTimestamp' };
