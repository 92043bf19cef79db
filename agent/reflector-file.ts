/**
 * A reflector's configuration from a file. Applies changes of the file. An unreadable or invalid file only causes a log
 * message.
 */
import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import type { z } from 'zod';
import type { DesiredSpeaker } from '../bgp/peer-config.ts';
import { parseDocuments } from '../datastore/documents.ts';
import {
  type BGPConfiguration,
  type BGPPeer,
  bgpConfigurationKind,
  bgpPeerKind,
} from '../datastore/schema/bgp.ts';
import { type BGPFilter, bgpFilterKind } from '../datastore/schema/bgp-filter.ts';
import { type Secret, secretKind, secretValue } from '../datastore/schema/core.ts';
import type { ResourceDefinition } from '../datastore/schema/resource.ts';
import { BGP_PORT, defaultsOf } from '../felix/calc/bgp/cluster.ts';
import { desiredReflector } from '../felix/calc/bgp/reflector.ts';
import type { SessionDefaults } from '../felix/calc/bgp/session.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { ReflectorSource } from './reflector.ts';

interface Documents {
  readonly text: string;
  readonly configurations: readonly BGPConfiguration[];
  readonly peers: readonly BGPPeer[];
  readonly filters: readonly BGPFilter[];
  readonly secrets: readonly Secret[];
}

/** A change may cause several events. Polling detects changes without events. */
const SETTLE_MS = 100;
const POLL_MS = 10_000;

export class FileSource implements ReflectorSource {
  readonly #file: string;
  readonly #defaults: SessionDefaults;
  readonly #log: Log;
  #documents: Documents | undefined;
  #stopFollowing = () => {};

  constructor(file: string, defaults: SessionDefaults, log: Log) {
    this.#file = file;
    this.#defaults = defaults;
    this.#log = log;
  }

  /** Throws CodedError INPUT for an invalid file. */
  async start(changed: () => void): Promise<void> {
    this.#documents = parse(await readText(this.#file), this.#file);
    this.desired();
    this.#follow(changed);
  }

  identity() {
    const { listenPort, listenAddresses } = defaultsOf(this.configurations());
    return { identifier: this.#routerId(), port: listenPort ?? BGP_PORT, listenAddresses };
  }

  configurations(): readonly BGPConfiguration[] {
    return this.#documents!.configurations;
  }

  desired(): DesiredSpeaker {
    const { configurations, peers, filters, secrets } = this.#documents!;
    return desiredReflector({
      ...this.#defaults,
      configurations,
      peers,
      filters,
      routerId: this.#routerId(),
      secrets: (name, key) => {
        const secret = secrets.find(({ metadata }) => metadata.name === name);
        const value = secret && secretValue(secret, key);
        if (value !== undefined) return { state: 'known', value };
        return { state: 'missing', reason: `the file has no Secret ${name} with the key ${key}` };
      },
    });
  }

  close(): void {
    this.#stopFollowing();
  }

  #routerId(): string {
    const { routerID, listenAddresses = [] } = defaultsOf(this.configurations());
    const own = routerID ?? listenAddresses.find((address) => address.includes('.')) ?? firstAddress();
    if (own) return own;
    throw new CodedError(
      'INPUT',
      `${this.#file}: this machine has no IPv4 address: set spec.routerID in BGPConfiguration default`,
    );
  }

  #follow(changed: () => void): void {
    let timer: NodeJS.Timeout | undefined;
    const look = () => {
      clearTimeout(timer);
      timer = setTimeout(() => void this.#reload(changed), SETTLE_MS);
    };
    // Watch the folder, because editors, and the kubelet for ConfigMaps, replace the file.
    const watcher = watch(path.dirname(this.#file), look);
    watcher.on('error', (error) =>
      this.#log.warn({ reason: messageOf(error) }, 'configuration file not watched'),
    );
    const poll = setInterval(look, POLL_MS);
    this.#stopFollowing = () => {
      clearTimeout(timer);
      clearInterval(poll);
      watcher.close();
    };
  }

  async #reload(changed: () => void): Promise<void> {
    const before = this.#documents!;
    try {
      const text = await readText(this.#file);
      if (text === before.text) return;
      this.#documents = parse(text, this.#file);
      this.desired();
      changed();
      this.#log.info({ file: this.#file }, 'configuration changed');
    } catch (error) {
      this.#documents = before;
      this.#log.error(
        { reason: messageOf(error) },
        'new configuration rejected: the previous one stays in force',
      );
    }
  }
}

function parse(text: string, file: string): Documents {
  const documents = parseDocuments(text, file);
  const ofKind = <S extends z.ZodType>({ kind, schema }: ResourceDefinition<S>) =>
    documents.filter(({ definition }) => definition.kind === kind).map(({ object }) => schema.parse(object));
  return {
    text,
    configurations: ofKind(bgpConfigurationKind),
    peers: ofKind(bgpPeerKind),
    filters: ofKind(bgpFilterKind),
    secrets: ofKind(secretKind),
  };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CodedError('INPUT', `${file}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function firstAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}
