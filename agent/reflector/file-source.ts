/**
 * A reflector's configuration from a file, or from the files of a folder. Applies changes. An unreadable or invalid file
 * only causes a log message, once for each fault.
 */
import { watch } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import type { DesiredSpeaker } from '../../bgp/peer/config.ts';
import type { BGPConfiguration } from '../../datastore/schema/bgp-configuration.ts';
import { secretValue } from '../../datastore/schema/core.ts';
import { BGP_PORT, defaultsOf } from '../../felix/calc/bgp/cluster.ts';
import { desiredReflector } from '../../felix/calc/bgp/reflector.ts';
import type { SessionDefaults } from '../../felix/calc/bgp/session.ts';
import { CodedError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Clock } from '../../lib/time.ts';
import { type NamedText, parseFiles, type ReflectorDocuments } from './documents.ts';
import type { ReflectorSource } from './reflector.ts';

/** A change may cause several events. Polling detects changes without events. */
const SETTLE_MS = 100;
const POLL_MS = 10_000;
/** Files of a folder that are read; not those of editors and of the kubelet, which begin with a dot. */
const CONFIGURATION = /^[^.].*\.(ya?ml|json)$/;

export class FileSource implements ReflectorSource {
  readonly #file: string;
  readonly #defaults: SessionDefaults;
  readonly #clock: Clock;
  readonly #log: Log;
  #documents: ReflectorDocuments | undefined;
  /** Texts of the documents in force. */
  #texts = '';
  /** The fault that was logged last; undefined when the files are valid. */
  #fault: string | undefined;
  #stopFollowing = () => {};

  constructor(file: string, defaults: SessionDefaults, { clock, log }: { clock: Clock; log: Log }) {
    this.#file = file;
    this.#defaults = defaults;
    this.#clock = clock;
    this.#log = log;
  }

  /** Throws CodedError INPUT for an invalid file. */
  async start(changed: () => void): Promise<void> {
    const texts = await readTexts(this.#file);
    this.#documents = parseFiles(texts, this.#file);
    this.#texts = JSON.stringify(texts);
    this.desired();
    this.#reportDuplicates();
    this.#follow(await folderOf(this.#file), changed);
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

  #reportDuplicates(): void {
    for (const reason of this.#documents!.duplicates)
      this.#log.warn({ reason }, 'an object of the configuration is not used');
  }

  #follow(folder: string, changed: () => void): void {
    let cancelReload = () => {};
    let cancelPoll = () => {};
    const look = () => {
      cancelReload();
      cancelReload = this.#clock.after(SETTLE_MS, () => void this.#reload(changed));
    };
    const poll = () => {
      look();
      cancelPoll = this.#clock.after(POLL_MS, poll);
    };
    // Watch the folder, because editors, and the kubelet for ConfigMaps, replace the file.
    const watcher = watch(folder, look);
    watcher.on('error', (error) =>
      this.#log.warn({ reason: messageOf(error) }, 'configuration file not watched'),
    );
    cancelPoll = this.#clock.after(POLL_MS, poll);
    this.#stopFollowing = () => {
      cancelReload();
      cancelPoll();
      watcher.close();
    };
  }

  async #reload(changed: () => void): Promise<void> {
    const before = this.#documents!;
    try {
      const files = await readTexts(this.#file);
      const texts = JSON.stringify(files);
      if (texts !== this.#texts) {
        this.#documents = parseFiles(files, this.#file);
        this.desired();
        changed();
        this.#texts = texts;
        this.#reportDuplicates();
        this.#log.info({ file: this.#file }, 'configuration changed');
      } else if (this.#fault !== undefined) this.#log.info({ file: this.#file }, 'configuration restored');
      this.#fault = undefined;
    } catch (error) {
      this.#documents = before;
      const reason = messageOf(error);
      if (this.#fault !== reason)
        this.#log.error({ reason }, 'new configuration rejected: the previous one stays in force');
      this.#fault = reason;
    }
  }
}

/** Returns the folder to watch. */
async function folderOf(place: string): Promise<string> {
  return (await stat(place)).isDirectory() ? place : path.dirname(place);
}

/** Returns the texts of a file, or of the YAML and JSON files in a folder by name. Throws CodedError INPUT. */
async function readTexts(place: string): Promise<NamedText[]> {
  let at = place;
  try {
    if (!(await stat(place)).isDirectory()) return [{ file: place, text: await readFile(place, 'utf8') }];
    const texts: NamedText[] = [];
    for (const name of (await readdir(place)).filter((one) => CONFIGURATION.test(one)).sort()) {
      at = path.join(place, name);
      texts.push({ file: at, text: await readFile(at, 'utf8') });
    }
    return texts;
  } catch (error) {
    throw new CodedError('INPUT', `${at}: cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function firstAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}
