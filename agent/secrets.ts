/**
 * Secrets that BGPPeer and BGPConfiguration refer to, and no others: followed one by one, in the agent's own
 * namespace (Calico B-055). One that is missing, or that may not be read, is a session without password.
 */
import type { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { Reflector, type UnreadableObject } from '../datastore/reflector.ts';
import type { BGPConfiguration, BGPPeer } from '../datastore/schema/bgp.ts';
import { secretKind, secretValue } from '../datastore/schema/core.ts';
import type { Log } from '../lib/log.ts';

interface Followed {
  readonly reflector: Reflector<typeof secretKind>;
  readonly abort: AbortController;
}

export class SecretsView {
  readonly #namespace: string;
  readonly #client: KubernetesClient;
  readonly #log: Log;
  readonly #changed: () => void;
  readonly #followed = new Map<string, Followed>();

  constructor(namespace: string, modules: { client: KubernetesClient; log: Log; changed: () => void }) {
    this.#namespace = namespace;
    this.#client = modules.client;
    this.#log = modules.log;
    this.#changed = modules.changed;
  }

  /** Follows what these objects refer to from now on. */
  follow(configurations: readonly BGPConfiguration[], peers: readonly BGPPeer[]): void {
    const references = [
      ...configurations.map(({ spec }) => spec.nodeMeshPassword),
      ...peers.map(({ spec }) => spec.password),
    ];
    const wanted = new Set(references.flatMap((reference) => reference?.secretKeyRef.name ?? []));
    for (const [name, { abort }] of this.#followed) {
      if (wanted.has(name)) continue;
      abort.abort();
      this.#followed.delete(name);
    }
    for (const name of wanted) if (!this.#followed.has(name)) this.#start(name);
  }

  /** Value of a key; undefined while there is none. */
  value = (name: string, key: string): string | undefined => {
    const secret = this.#followed.get(name)?.reflector.objects.get(`${this.#namespace}/${name}`);
    return secret && secretValue(secret, key);
  };

  /** Secrets that cannot be read as Secrets, and those that RBAC keeps from this program. */
  problems(): UnreadableObject[] {
    return [...this.#followed].flatMap(([name, { reflector }]) => [
      ...reflector.problems.values(),
      ...(reflector.isForbidden ? [this.#forbidden(name)] : []),
    ]);
  }

  close(): void {
    for (const { abort } of this.#followed.values()) abort.abort();
  }

  #forbidden(name: string): UnreadableObject {
    const namespace = this.#namespace;
    const reason = `RBAC forbids to read it: add ${name} to resourceNames of Role cali-bgp-secrets in namespace ${namespace} (Helm: bgpSecrets)`;
    return {
      problem: { kind: 'Secret', name, namespace, reason },
      uid: undefined,
      conditions: undefined,
      isAbsent: true,
    };
  }

  #start(name: string): void {
    const abort = new AbortController();
    const reflector = new Reflector(
      { definition: secretKind, namespace: this.#namespace, fieldSelector: `metadata.name=${name}` },
      {
        client: this.#client,
        log: this.#log,
        events: { changed: this.#changed, synced: this.#changed, troubled: this.#changed },
      },
    );
    this.#followed.set(name, { reflector, abort });
    void reflector.run(abort.signal);
  }
}
