/** Settings of a peer's connections. Every event of a connection reads them, so they are cached for each PeerConfig. */
import type { SessionConfig } from '../session/session.ts';
import type { Remote } from '../transport/port.ts';
import type { PeerConfig } from './config.ts';
import { remoteOf, type SpeakerIdentity } from './context.ts';

interface Settings {
  readonly config: PeerConfig;
  readonly session: SessionConfig;
  readonly remote: Remote;
}

export class ConnectionSettings {
  readonly #identity: SpeakerIdentity;
  #cached: Settings | undefined;

  constructor(identity: SpeakerIdentity) {
    this.#identity = identity;
  }

  of(config: PeerConfig): Settings {
    if (this.#cached?.config !== config)
      this.#cached = {
        config,
        session: { ...config, identifier: this.#identity.identifier },
        remote: remoteOf(config),
      };
    return this.#cached;
  }
}
