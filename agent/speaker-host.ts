/** The agent's BGP speaker: started when the node is known, tried again while its port is taken. */
import { Speaker } from '../bgp/speaker.ts';
import type { BGPConfiguration } from '../datastore/schema/bgp.ts';
import { listenPort } from '../felix/calc/bgp/cluster.ts';
import type { NodeInfo } from '../felix/calc/topology.ts';
import type { Family } from '../lib/cidr.ts';
import { systemClock } from '../lib/clock.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { AgentConfig } from './config.ts';
import { routerIdOf } from './node-setup.ts';
import { Observers } from './observers.ts';

const LISTEN_RETRY_MS = 5_000;

export interface SpeakerHostEvents {
  /** There is a speaker now, or it may be tried again. */
  readonly changed: () => void;
  /** Learned routes changed. */
  readonly learned: () => void;
  readonly converged: (seconds: number) => void;
}

export class SpeakerHost {
  readonly #config: AgentConfig;
  readonly #log: Log;
  readonly #events: SpeakerHostEvents;
  #speaker: Speaker | undefined;
  #observers: Observers | undefined;
  #isBusy = false;
  #error: string | undefined = 'not started yet';

  constructor(config: AgentConfig, events: SpeakerHostEvents, log: Log) {
    this.#config = config;
    this.#events = events;
    this.#log = log;
  }

  /** Undefined until it listens. */
  get speaker(): Speaker | undefined {
    return this.#speaker;
  }

  /** Why there is no speaker; undefined when there is one. */
  get error(): string | undefined {
    return this.#error;
  }

  /** There is no speaker yet, and none is started for this reason. One that runs goes on as it is. */
  wait(reason: string): void {
    if (this.#speaker || this.#isBusy || this.#error === reason) return;
    this.#error = reason;
    this.#log.error({ reason }, 'BGP is not running');
  }

  /** Takes over the configuration; starts a speaker where there is none. */
  configure(self: NodeInfo, families: readonly Family[], configurations: readonly BGPConfiguration[]): void {
    this.#observers?.configure(configurations);
    if (this.#speaker || this.#isBusy) return;
    this.#isBusy = true;
    void this.#start(self, families, configurations);
  }

  /** Never rejects: whatever fails is the error, and is tried again. */
  async #start(
    self: NodeInfo,
    families: readonly Family[],
    configurations: readonly BGPConfiguration[],
  ): Promise<void> {
    let speaker: Speaker | undefined;
    try {
      speaker = this.#speakerFor(self, families, configurations);
      await speaker.listen();
      this.#observers = new Observers(speaker, this.#config.wireLog, this.#log);
      this.#speaker = speaker;
      this.#error = undefined;
    } catch (error) {
      // Its port has to be free for the next attempt.
      await speaker?.close(true).catch(() => undefined);
      // Pods on this node go on; the other nodes are cut off until somebody acts, or the port is free.
      if (this.#error !== messageOf(error))
        this.#log.error({ reason: messageOf(error) }, 'BGP is not running');
      this.#error = messageOf(error);
      setTimeout(() => {
        this.#isBusy = false;
        this.#events.changed();
      }, LISTEN_RETRY_MS).unref();
      return;
    }
    this.#events.changed();
  }

  /** Throws where the settings make no speaker. */
  #speakerFor(
    self: NodeInfo,
    families: readonly Family[],
    configurations: readonly BGPConfiguration[],
  ): Speaker {
    const { restartTimeSeconds, unreachableSeconds, node } = this.#config;
    const defaults = configurations.find(({ metadata }) => metadata.name === 'default');
    const addresses: Partial<Record<Family, string>> = {};
    for (const family of families) {
      const own = self.addresses[family];
      if (!own) throw new CodedError('CONFIG', `this node has no IPv${family} address for BGP`);
      addresses[family] = own.address;
    }
    return new Speaker(
      {
        identifier: routerIdOf(this.#config, self),
        addresses,
        port: listenPort(node, configurations),
        listenAddresses: defaults?.spec.bindMode === 'NodeIP' ? Object.values(addresses) : undefined,
        hasKernel: true,
        deferralSeconds: restartTimeSeconds,
        unreachableSeconds,
      },
      {
        clock: systemClock,
        log: this.#log,
        events: { changed: () => this.#events.learned(), converged: this.#events.converged },
      },
    );
  }

  /** Ends it as for a restart: peers keep our routes. */
  async close(): Promise<void> {
    this.#observers?.close();
    await this.#speaker?.close(true);
  }
}
