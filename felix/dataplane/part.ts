/**
 * The interface of all parts of the dataplane. A part keeps one kind of kernel object as desired: it holds desired rows
 * and observed rows by key, plans the difference for all keys or for some, makes the planned changes, and knows per
 * object why it differs. A part never calls its caller.
 */
import type { TunnelDevice } from '../../ipip/device-plan.ts';
import type { KernelState } from '../../kernel/port.ts';
import type { DataplaneSettings, DesiredDataplane } from './desired.ts';

export type PartName = 'tables' | 'sysctls' | 'tunnels' | 'addresses' | 'routes' | 'neighbours';

export interface Part {
  /** Plural name of its objects. */
  readonly name: PartName;
  /** Replaces the desired rows. Returns how soon the difference must be applied. */
  setDesired(desired: DesiredDataplane): Urgency;
  /** Reads rows that the common observation lacks. It comes before that one, which must be fresh when plans are made. */
  inspect?(now: number): Promise<void>;
  /** Replaces the observed rows. */
  observe(observation: Observation): void;
  /**
   * Compares desired with observed rows. The difference becomes the pending work. `keys`: only these rows; default all.
   * Changes nothing in the kernel.
   */
  plan(context: Context, keys?: ReadonlySet<string>): void;
  /** The pending work as commands, for logs and tests. */
  readonly pending: readonly string[];
  /**
   * Does the pending work of a phase. Uses only what `plan` recorded, because the desired rows may be replaced
   * meanwhile. Changes that another program reverts, or that the kernel refuses, wait (`isHeld`).
   */
  apply(phase: Phase, context: Context): Promise<void>;
  /** The objects that differ from their desired state. */
  problems(now: number): readonly Problem[];
  /** Whether the last `apply` failed in a way that calls for a retry. */
  readonly isFailed: boolean;
  /** Whether pending work waits. */
  readonly isHeld: boolean;
  /** Number of objects that another program keeps changing back, by kind. */
  oscillating(now: number): Readonly<Record<string, number>>;
  /** A link changed by itself: its objects may have to be set again, which is not oscillation. */
  forget(link: string): void;
  /** Trusts nothing that was set before: a full check follows. */
  recheck(): void;
}

/** `confirm`: the CNI server has already programmed the difference. */
export type Urgency = 'none' | 'confirm' | 'now';

/** All parts do their first phase in order, then their last: removals of what routes may use until they are changed. */
export type Phase = 'first' | 'last';

/** What one observation found. */
export interface Observation {
  readonly kernel: KernelState;
  /** Tunnel devices with our names. */
  readonly devices: ReadonlyMap<string, TunnelDevice>;
}

/** What parts need to know in a pass beyond their own rows. */
export interface Context {
  /** Milliseconds, of the clock. */
  readonly now: number;
  readonly settings: DataplaneSettings;
  /** Whether a device can be used: false for a tunnel device that this kernel refuses or another program owns. */
  readonly isUsable: (device: string) => boolean;
}

/** Why an object differs from its desired state. */
export interface Problem {
  /** Such as `route 10.0.0.0/26`. */
  readonly object: string;
  readonly reason: string;
  /** What people read instead of the object, such as the refused command; empty: the reason is a whole sentence. */
  readonly subject?: string;
  /** Whether it usually ends within a second, as while a pod is added. */
  readonly isPassing?: boolean;
}

/** Returns the more urgent of two. */
export function moreUrgent(a: Urgency, b: Urgency): Urgency {
  if (a === 'now' || b === 'now') return 'now';
  return a === 'confirm' ? a : b;
}
