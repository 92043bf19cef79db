/**
 * Adds the CEL rules to Cali's CRDs where the API server supports them: Kubernetes 1.31 has isIP and isCIDR. The manifests
 * have no rules, because older servers and clients reject a CRD with them. Another `kubectl apply` of a manifest removes
 * the rules, so this restores them.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { calicoKinds, crdOf, withoutRules } from '../datastore/crd.ts';
import type { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { objectMeta, type ResourceDefinition } from '../datastore/schema/resource.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { Clock } from '../lib/time.ts';

/** The first Kubernetes version with all functions of the rules. */
const NEEDED = [1, 31] as const;
const LOOK_MS = 60_000;
const RETRY_MS = 30_000;

const schemaVersion = z.looseObject({
  name: z.string(),
  schema: z.looseObject({ openAPIV3Schema: z.unknown() }).optional(),
});

const crdSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: objectMeta,
  spec: z.looseObject({ versions: z.array(schemaVersion) }),
});

/** A CustomResourceDefinition, as far as this file reads it. */
const crdKind: ResourceDefinition<typeof crdSchema> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  singular: 'customresourcedefinition',
  shortNames: ['crd', 'crds'],
  namespaced: false,
  hasStatus: true,
  schema: crdSchema,
  columns: [],
};

type CrdVersion = z.output<typeof schemaVersion>;

/**
 * Returns the versions of a stored CRD with the rules of this program; undefined when nothing has to change. A CRD whose
 * schema differs in anything but rules belongs to another version of Cali, or to Calico, and stays as it is.
 */
function versionsWithRules(
  definition: ResourceDefinition,
  versions: readonly CrdVersion[],
): CrdVersion[] | undefined {
  const wanted: unknown = crdOf(definition).spec.versions[0]!.schema.openAPIV3Schema;
  const stored = versions.find(({ name }) => name === definition.version)?.schema?.openAPIV3Schema;
  if (isDeepStrictEqual(plain(stored), plain(wanted))) return undefined;
  if (!isDeepStrictEqual(withoutRules(plain(stored)), withoutRules(plain(wanted)))) return undefined;
  return versions.map((one) =>
    one.name === definition.version ? { ...one, schema: { ...one.schema, openAPIV3Schema: wanted } } : one,
  );
}

/** JSON values only, so that a missing and an undefined property are equal. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null));
}

export class CrdRules {
  readonly #client: KubernetesClient;
  readonly #clock: Clock;
  readonly #log: Log;
  #cancel = () => {};
  #isClosed = false;

  constructor({ client, clock, log }: { client: KubernetesClient; clock: Clock; log: Log }) {
    this.#client = client;
    this.#clock = clock;
    this.#log = log;
  }

  /** Looks now, and again every minute. Never throws. */
  start(): void {
    void this.#look().then(
      () => this.#again(LOOK_MS),
      (error: unknown) => {
        this.#log.warn({ reason: messageOf(error) }, 'CRD validation rules not added: retrying');
        this.#again(RETRY_MS);
      },
    );
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #again(delayMs: number): void {
    if (!this.#isClosed) this.#cancel = this.#clock.after(delayMs, () => this.start());
  }

  async #look(): Promise<void> {
    const version = await this.#client.serverVersion();
    if (!version || !isAtLeast(version, NEEDED)) return;
    for (const definition of calicoKinds()) {
      const name = `${definition.plural}.${definition.group}`;
      const crd = await this.#client.get(crdKind, name);
      const versions = crd && versionsWithRules(definition, crd.spec.versions);
      if (!versions) continue;
      const { resourceVersion } = crd.metadata;
      await this.#client.patch(crdKind, name, { metadata: { resourceVersion }, spec: { versions } });
      this.#log.info({ crd: name }, 'CRD validation rules added');
    }
  }
}

function isAtLeast(
  [major, minor]: readonly [number, number],
  [least, leastMinor]: readonly [number, number],
) {
  return major > least || (major === least && minor >= leastMinor);
}
