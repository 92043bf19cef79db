/** Runs the agent's BGP speaker. Starts it when the node is known, and retries while its port is in use. */
import { Speaker } from '../../bgp/speaker.ts';
import type { Transport } from '../../bgp/transport/port.ts';
import type { BGPConfiguration } from '../../datastore/schema/bgp-configuration.ts';
import { listenPort } from '../../felix/calc/bgp/cluster.ts';
import type { Family } from '../../lib/cidr.ts';
import { CodedError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Time } from '../../lib/time.ts';
import type { NodeInfo } from '../../model/node.ts';
import { routerIdOf } from '../identity/node-setup.ts';
import type { AgentConfig } from '../inputs/environment.ts';
import { Observers } from './observers.ts';

const LISTEN_RETRY_MS = 5_000;
/** Error before the first attempt. */
export const NOT_STARTED = 'not started yet';

export interface SpeakerHostEvents {
  /** The speaker started, or a retry is due. */
  readonly changed: () => void;
  /** Learned routes changed. */
  readonly learned: () => void;
  readonly converged: (seconds: number) => void;
  /** A session came up or went down. */
  readonly sessionChanged: () => void;
}

export interface SpeakerHostModules {
  readonly time: Time;
  readonly transport: Transport;
  readonly log: Log;
}

/** Values that are fixed for the life of a speaker, and its addresses, which can partly change. */
interface Identity {
  readonly identifier: string;
  readonly addresses: Readonly<Partial<Record<Family, string>>>;
  readonly port: number;
  readonly listenAddresses: readonly string[] | undefined;
}

export class SpeakerHost {
  readonly #config: AgentConfig;
  readonly #modules: SpeakerHostModules;
  readonly #log: Log;
  readonly #events: SpeakerHostEvents;
  #speaker: Speaker | undefined;
  /** Identity of the running speaker. */
  #identity: Identity | undefined;
  #observers: Observers | undefined;
  #cancelRetry = () => {};
  #isBusy = false;
  #isClosed = false;
  #error: string | undefined = NOT_STARTED;

  constructor(config: AgentConfig, events: SpeakerHostEvents, modules: SpeakerHostModules) {
    this.#config = config;
    this.#events = events;
    this.#modules = modules;
    this.#log = modules.log;
  }

  /** The speaker; undefined until it listens. */
  get speaker(): Speaker | undefined {
    return this.#speaker;
  }

  /** Why no speaker runs; undefined when one runs. */
  get error(): string | undefined {
    return this.#error;
  }

  /** Reports why no speaker is started yet. A running speaker continues unchanged. */
  wait(reason: string): void {
    if (this.#speaker || this.#isBusy || this.#error === reason) return;
    this.#error = reason;
    this.#log.error({ reason }, 'BGP is not running');
  }

  /**
   * Applies the configuration; starts a speaker if none runs. A running speaker can add or remove a family. A changed
   * identifier, port or address needs a new speaker, which restarts as an agent does: peers and kernel keep their
   * routes.
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

  /** Stops the running speaker, if any. */
  async #restart(): Promise<void> {
    const speaker = this.#speaker;
    if (!speaker) return;
    this.#log.info({}, 'restarting the BGP speaker: its address, identifier or port changed');
    // It must not be used while it stops.
    this.#speaker = undefined;
    this.#observers?.close();
    this.#observers = undefined;
    await speaker
      .close(true)
      .catch((error: unknown) => this.#log.error({ err: error }, 'BGP speaker failed to stop'));
  }

  /** Starts a speaker. Never rejects: a failure sets the error and is retried. */
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
      this.#observers = new Observers(speaker, this.#config.wireLog, this.#modules);
      this.#identity = identityOf(this.#config, self, families, configurations);
      this.#speaker = speaker;
      this.#error = undefined;
      this.#isBusy = false;
    } catch (error) {
      // The next attempt needs its port.
      await speaker?.close(true).catch(() => undefined);
      // Pods on this node still work. Other nodes are unreachable until the operator acts or the port is free.
      if (this.#error !== messageOf(error))
        this.#log.error({ reason: messageOf(error) }, 'BGP is not running');
      this.#error = messageOf(error);
      this.#cancelRetry = this.#modules.time.after(LISTEN_RETRY_MS, () => {
        this.#isBusy = false;
        this.#events.changed();
      });
      return;
    }
    this.#events.changed();
  }

  /** Creates a speaker. Throws when the settings do not allow one. */
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
        clock: this.#modules.time,
        transport: this.#modules.transport,
        log: this.#log,
        events: {
          changed: () => this.#events.learned(),
          converged: this.#events.converged,
          sessionChanged: this.#events.sessionChanged,
        },
      },
    );
  }

  /** Stops the speaker as for a restart: peers keep our routes. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry();
    this.#observers?.close();
    await this.#speaker?.close(true);
  }
}

/** Returns the identity of a speaker. Throws CodedError CONFIG when a family has no address. */
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

/** Whether the speaker must restart. Sessions from a removed address end, and only a restart keeps their routes. */
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
