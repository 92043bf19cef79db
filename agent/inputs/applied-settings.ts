/** The settings in force. Before the datastore is in sync, those of the environment and the defaults. */
import type { Cluster } from './cluster.ts';
import type { AgentConfig } from './environment.ts';
import { type Settings, settingsFor } from './settings.ts';

/** The objects that have settings. */
export type SettingObjects = Pick<Cluster, 'felixConfigurations' | 'bgpConfigurations'>;

export class AppliedSettings {
  readonly #config: AgentConfig;
  readonly #apply: (settings: Settings) => void;
  #current: Settings;

  /** `apply` puts settings into force. */
  constructor(config: AgentConfig, apply: (settings: Settings) => void) {
    this.#config = config;
    this.#apply = apply;
    this.#current = settingsFor(config, [], []);
  }

  /** The settings that were applied last. */
  get current(): Settings {
    return this.#current;
  }

  /** Returns the settings of a cluster without applying them. Throws when a setting is unusable. */
  of({ felixConfigurations, bgpConfigurations }: SettingObjects): Settings {
    return settingsFor(this.#config, felixConfigurations(), bgpConfigurations());
  }

  /** Applies the settings of a cluster. */
  update(cluster: SettingObjects): void {
    this.#current = this.of(cluster);
    this.#apply(this.#current);
  }
}
