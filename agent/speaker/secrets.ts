/**
 * Watches the Secrets with BGP passwords: each one that a BGPPeer or BGPConfiguration names, in the agent's own
 * namespace (Calico B-055). If a Secret is deleted or becomes unusable, its last password stays in force, so that a
 * protected session never loses its protection.
 */

import type { ListWatch } from '../../datastore/datastore.ts';
import { Informer, type InformerTime, type UnreadableObject } from '../../datastore/informer.ts';
import type { BGPConfiguration } from '../../datastore/schema/bgp-configuration.ts';
import type { BGPPeer } from '../../datastore/schema/bgp-peer.ts';
import { secretKind, secretValue } from '../../datastore/schema/core.ts';
import { passwordOf, passwordProblem, type SecretState } from '../../felix/calc/bgp/password.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { printable } from '../../lib/plain-text.ts';

interface Followed {
  readonly informer: Informer<typeof secretKind>;
  readonly abort: AbortController;
  /** Whether the Secret has been read, or is known not to exist. */
  isRead: boolean;
  /** The last usable value of each key. */
  readonly lastValues: Map<string, string>;
}

export interface SecretsModules {
  readonly client: ListWatch;
  readonly time: InformerTime;
  readonly log: Log;
  readonly changed: () => void;
}

export class SecretsView {
  readonly #namespace: string;
  readonly #modules: SecretsModules;
  readonly #followed = new Map<string, Followed>();

  constructor(namespace: string, modules: SecretsModules) {
    this.#namespace = namespace;
    this.#modules = modules;
  }

  /** Watches the Secrets that these objects name, and no others. */
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

  /** Returns the password in a key of a Secret, or why it is not known. */
  value = (name: string, key: string): SecretState => {
    const followed = this.#followed.get(name);
    const place = `Secret ${this.#namespace}/${name}`;
    if (!followed?.isRead) {
      const why = followed?.informer.isForbidden ? this.#forbiddenReason(name) : 'it has not been read yet';
      return { state: 'unknown', reason: `waiting for ${place}: ${why}` };
    }
    const secret = followed.informer.objects.get(`${this.#namespace}/${name}`);
    if (!secret && followed.informer.problems.size > 0)
      return { state: 'unknown', reason: `waiting for ${place}: it is malformed` };
    const value = secret && secretValue(secret, key);
    const problem = value === undefined ? undefined : passwordProblem(value);
    if (value !== undefined && !problem) {
      followed.lastValues.set(key, value);
      return { state: 'known', value };
    }
    const missing = secret ? `${place} has no key ${key}` : `${place} does not exist`;
    const last = followed.lastValues.get(key);
    if (last !== undefined) {
      const reason = problem ? `${place}, key ${key}: ${problem}` : missing;
      return { state: 'known', value: last, warning: `${reason}: the previous password stays in force` };
    }
    return value === undefined ? { state: 'missing', reason: missing } : { state: 'known', value };
  };

  /** Returns a problem for each Secret that is malformed or that RBAC forbids to read. */
  problems(): UnreadableObject[] {
    return [...this.#followed].flatMap(([name, { informer }]) => [
      ...informer.problems.values(),
      ...(informer.isForbidden ? [this.#forbidden(name)] : []),
    ]);
  }

  /** Returns a problem for each object whose password is missing or unusable, even if an earlier one stays in force. */
  passwordProblems(
    configurations: readonly BGPConfiguration[],
    peers: readonly BGPPeer[],
  ): UnreadableObject[] {
    const uses = [
      ...configurations.map((object) => ({
        object,
        field: 'nodeMeshPassword',
        reference: object.spec.nodeMeshPassword,
      })),
      ...peers.map((object) => ({ object, field: 'password', reference: object.spec.password })),
    ];
    return uses.flatMap(({ object: { kind, metadata }, field, reference }) => {
      // The object is not at fault while its Secret has not been read.
      if (!reference || !this.#followed.get(reference.secretKeyRef.name)?.isRead) return [];
      const reason = this.#reasonAgainst(reference);
      if (reason === undefined) return [];
      const problem = { kind, name: metadata.name, field: `spec.${field}`, reason };
      return [{ problem, uid: metadata.uid, conditions: undefined, isAbsent: false }];
    });
  }

  /** Returns why a password is not in force. An error in one does not hide the others. */
  #reasonAgainst(reference: Parameters<typeof passwordOf>[0]): string | undefined {
    try {
      const { unusable, warning } = passwordOf(reference, this.value);
      return unusable ?? warning;
    } catch (error) {
      return `the password cannot be checked: ${printable(messageOf(error))}`;
    }
  }

  close(): void {
    for (const { abort } of this.#followed.values()) abort.abort();
  }

  #forbidden(name: string): UnreadableObject {
    const reason = this.#forbiddenReason(name);
    return {
      problem: { kind: 'Secret', name, namespace: this.#namespace, reason },
      uid: undefined,
      conditions: undefined,
      isAbsent: true,
    };
  }

  #forbiddenReason(name: string): string {
    return `RBAC forbids reading it: add ${name} to resourceNames of Role cali-bgp-secrets in namespace ${this.#namespace} (Helm: bgpSecrets)`;
  }

  #start(name: string): void {
    const { client, time, log, changed } = this.#modules;
    const abort = new AbortController();
    const informer = new Informer(
      { definition: secretKind, namespace: this.#namespace, fieldSelector: `metadata.name=${name}` },
      {
        client,
        time,
        log,
        events: {
          changed,
          troubled: changed,
          synced: () => {
            followed.isRead = true;
            changed();
          },
        },
      },
    );
    const followed: Followed = { informer, abort, isRead: false, lastValues: new Map() };
    this.#followed.set(name, followed);
    void informer.run(abort.signal);
  }
}
