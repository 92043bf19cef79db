/** What a speaker is given when it is created. */
import type { Family } from '../lib/cidr.ts';
import type { Log } from '../lib/log.ts';
import type { Time } from '../lib/time.ts';
import type { Transport } from './transport/port.ts';

export interface SpeakerOptions {
  /** BGP identifier, dotted quad. */
  readonly identifier: string;
  /** This node's address per family, the next hop of originated routes. `setAddresses` changes them. */
  readonly addresses: Readonly<Partial<Record<Family, string>>>;
  readonly port: number;
  /** Addresses to listen on; all when undefined. */
  readonly listenAddresses: readonly string[] | undefined;
  /** Maximum wait for peers after a start, seconds. */
  readonly deferralSeconds: number;
  /** Wait for a peer that has not answered since the start, seconds. */
  readonly unreachableSeconds: number;
  /** Whether to report routes for the kernel. False for a reflector. */
  readonly hasKernel: boolean;
}

export interface SpeakerEvents {
  /** `learned` or `isSettled` changed. Coalesced per turn. */
  changed(): void;
  /** The changes of a turn were sent, this many seconds after the first one. */
  converged?(seconds: number): void;
  /** A session came up or went down. */
  sessionChanged?(): void;
}

export interface SpeakerModules {
  readonly clock: Time;
  readonly transport: Transport;
  readonly log: Log;
  readonly events: SpeakerEvents;
}
