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
/** The error before the first attempt. */
export const NOT_STARTED = 'not started yet';

export interface SpeakerHostEvents {
  /** There is a speaker now, or it may be tried again. */
  readonly changed: () => void;
  /** Learned routes changed. */
  readonly learned: () => void;
  readonly converged: (seconds: number) => void;
  /** A session came up or went down. */
  readonly sessionChanged: () => void;
}

/** What a speaker keeps for its life, and the addresses that it can follow. */
interface Identity {
  readonly identifier: string;
  readonly addresses: Readonly<Partial<Record<Family, string>>>;
  readonly port: number;
  readonly listenAddresses: readonly string[] | undefined;
}

export class SpeakerHost {
  readonly #config: AgentConfig;
  readonly #log: Log;
  readonly #events: SpeakerHostEvents;
  #speaker: Speaker | undefined;
  /** Of the speaker that runs. */
  #identity: Identity | undefined;
  #observers: Observers | undefined;
  #isBusy = false;
  #isClosed = false;
  #error: string | undefined = NOT_STARTED;

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

  /**
   * Applies the configuration; starts a speaker where there is none. One that runs follows a family that comes or goes.
   * Another identifier, or another address of a family, takes another speaker, which restarts as an agent does: peers
   * and kernel keep their routes.
   */
  configure(self: NodeInfo, families: readonly Family[], configurations: readonly BGPConfiguration[]): void {
    this.#observers?.configure(configurations);
    if (this.#isBusy) return;
    const identity = this.#speaker && identityOf(this.#config, self, families, configurations);
    if (identity && this.#identity && !mustRestart(this.#identity, identity)) {
      this.#identity = identity;
      this.#speaker?.setAddresses(identity.addresses);
      return;
    }
    this.#isBusy = true;
    void this.#restart().then(() => this.#start(self, families, configurations));
  }

  /** Ends the speaker that runs, if one does. */
  async #restart(): Promise<void> {
    const speaker = this.#speaker;
    if (!speaker) return;
    this.#log.info({}, 'the BGP speaker restarts: its address, identifier or port is another one now');
    // Nothing may be wanted of it while it ends.
    this.#speaker = undefined;
    this.#observers?.close();
    this.#observers = undefined;
    await speaker
      .close(true)
      .catch((error: unknown) => this.#log.error({ err: error }, 'the BGP speaker did not end well'));
  }

  /** Never rejects: whatever fails is the error, and is tried again. */
  async #start(
    self: NodeInfo,
    families: readonly Family[],
    configurations: readonly BGPConfiguration[],
  ): Promise<void> {
    let speaker: Speaker | undefined;
    if (this.#isClosed) return;
    try {
      speaker = this.#speakerFor(self, families, configurations);
      await speaker.listen();
      if (this.#isClosed) {
        await speaker.close(true);
        return;
      }
      this.#observers = new Observers(speaker, this.#config.wireLog, this.#log);
      this.#identity = identityOf(this.#config, self, families, configurations);
      this.#speaker = speaker;
      this.#error = undefined;
      this.#isBusy = false;
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
    const { restartTimeSeconds, unreachableSeconds } = this.#config;
    return new Speaker(
      {
        ...identityOf(this.#config, self, families, configurations),
        hasKernel: true,
        deferralSeconds: restartTimeSeconds,
        unreachableSeconds,
      },
      {
        clock: systemClock,
        log: this.#log,
        events: {
          changed: () => this.#events.learned(),
          converged: this.#events.converged,
          sessionChanged: this.#events.sessionChanged,
        },
      },
    );
  }

  /** Ends it as for a restart: peers keep our routes. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#observers?.close();
    await this.#speaker?.close(true);
  }
}

/** Throws CodedError CONFIG where a family has no address. */
function identityOf(
  config: AgentConfig,
  self: NodeInfo,
  families: readonly Family[],
  configurations: readonly BGPConfiguration[],
): Identity {
  const defaults = configurations.find(({ metadata }) => metadata.name === 'default');
  const addresses: Partial<Record<Family, string>> = {};
  for (const family of families) {
    const own = self.addresses[family];
    if (!own) throw new CodedError('CONFIG', `this node has no IPv${family} address for BGP`);
    addresses[family] = own.address;
  }
  return {
    identifier: routerIdOf(config, self),
    addresses,
    port: listenPort(config.node, configurations),
    listenAddresses: defaults?.spec.bindMode === 'NodeIP' ? Object.values(addresses) : undefined,
  };
}

/** Sessions from an address that is gone end; without a restart their routes would go with them. */
function mustRestart(before: Identity, now: Identity): boolean {
  return (
    before.identifier !== now.identifier ||
    before.port !== now.port ||
    before.listenAddresses?.join() !== now.listenAddresses?.join() ||
    ([4, 6] as const).some(
      (family) =>
        before.addresses[family] !== undefined &&
        now.addresses[family] !== undefined &&
        before.addresses[family] !== now.addresses[family],
    )
  );
}
