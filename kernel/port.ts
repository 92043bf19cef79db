/**
 * The kernel as a dependency: what the agent reads from Linux and changes in it. `linux.ts` is the real one,
 * test/helpers/fake-kernel.ts one in memory. Nothing here runs a program.
 */
import type { Family } from '../lib/cidr.ts';
import type { CommandResult } from '../lib/exec.ts';
import type { KernelRoute } from '../model/route.ts';
import type { Sysctl } from '../model/sysctls.ts';
import type { ChangeError, KernelChange } from './change.ts';

export interface Kernel {
  /** The kernel's release, such as `6.8.0-45-generic`. */
  readonly release: string;
  /** Families that this kernel supports, whether or not the node uses them. */
  readonly families: readonly Family[];
  /**
   * Returns links, and the addresses, main-table routes and permanent neighbours of the families. While a monitor is
   * open (`watch`), they come from a copy that notifications keep current, if it is certain. `isFull`: reads the kernel
   * in any case. Throws when it fails.
   */
  observe(families: readonly Family[], options?: { readonly isFull?: boolean }): Promise<KernelState>;
  /** Number of objects that differed from the copy although no notification was lost. */
  missedNotifications(): number;
  /** Makes changes in order. Returns the errors, which hold the given changes; a failure does not stop the others. */
  apply(changes: readonly KernelChange[]): Promise<ChangeError[]>;
  /** Writes the values that differ. Returns a sentence per sysctl that could not be set. */
  applySysctls(sysctls: readonly Sysctl[], maySet: MaySet): string[];
  /** Returns the VXLAN devices by name. Throws when the dump fails. */
  readVxlans(): Promise<ReadonlyMap<string, VxlanState>>;
  /** Returns the permanent forwarding entries of a device, MAC to node address. Throws when the dump fails. */
  readForwarding(device: string): Promise<ReadonlyMap<string, string>>;
  /** Switches the checksum offload of a device off. Returns a sentence when that fails. */
  switchOffloadOff(device: string): Promise<string | undefined>;
  /** Calls `hint` on every event until the returned monitor is closed. */
  watch(hint: (event: KernelEvent) => void): { close(): void };
  /** Opens the table of tracked connections. */
  openConnections(): Connections;
  readonly pods: PodKernel;
  readonly nft: Nft;
  /**
   * Returns the addresses of all interfaces, in order of interface index. Throws CodedError CONFIG when the node lacks
   * what reads them, FAILED when they cannot be read.
   */
  readAddresses(): Promise<readonly LinkAddress[]>;
  /**
   * Returns the source address of packets to an address; undefined without a route. Throws CodedError FAILED when it is
   * unknown whether there is a route.
   */
  sourceOfPacketsTo(address: string): Promise<string | undefined>;
  /** Returns the route to an address in iproute2's syntax, or the kernel's refusal. For people. */
  routeText(address: string): Promise<string>;
  /** Releases what the kernel's reader keeps open. Kernel state remains. */
  close(): void;
}

/** What the CNI plugin does in the kernel: veth pairs and the namespaces of pods. */
export interface PodKernel {
  /** Reports what is at a path that should be a pod's network namespace. */
  namespaceAt(path: string): NamespaceKind;
  /** Opens a session for the host's side of one pod. */
  openSession(): PodSession;
  /** Enters a pod's namespace and writes its sysctls. A failure to enter appears when changes are applied. */
  enter(netns: string, sysctls: readonly Sysctl[]): PodNamespace;
  /** Writes sysctls of the host's side. Returns a sentence per sysctl that could not be set. */
  applySysctls(sysctls: readonly Sysctl[]): string[];
  /**
   * Sets a veth down, so that nothing passes it; true if nothing can, also when it is gone or is not a veth. False when
   * the kernel refused.
   */
  silenceVeth(name: string): Promise<boolean>;
  /**
   * Deletes a veth pair by one of its interfaces. A missing interface counts as gone. An interface that is not a veth
   * is kept. `refusal`: the kernel's answer when it refused.
   */
  deleteVeth(name: string): Promise<{ readonly isGone: boolean; readonly refusal?: string }>;
  /** Returns the names of all veth interfaces. Throws when the dump fails. */
  vethNames(): Promise<ReadonlySet<string>>;
}

/** `own`: the namespace of this process. `pod`: another network namespace. */
export type NamespaceKind = 'absent' | 'no-namespace' | 'own' | 'pod';

/** Changes on the host for one pod. A name means the link that this session added, even if others had the name before. */
export interface PodSession {
  /** Applies the changes in order and returns those that failed; a failure does not stop the others. Throws when it is unknown. */
  apply(changes: readonly KernelChange[]): Promise<readonly ChangeError[]>;
}

/** A pod's network namespace, entered once to set it up. */
export interface PodNamespace {
  /**
   * Applies the changes in order, as `PodSession.apply`, and leaves the namespace. Called at most once. `indexes`: of
   * links by name, as far as they are known. Throws when the namespace could not be entered.
   */
  apply(
    changes: readonly KernelChange[],
    indexes: ReadonlyMap<string, number>,
  ): Promise<readonly ChangeError[]>;
  /** Leaves without changes. No effect after `apply`. */
  leave(): void;
}

/** The part of the kernel that an observation of tunnel devices reads. */
export type VxlanReader = Pick<Kernel, 'readVxlans' | 'readForwarding'>;

/** Whether to replace a sysctl's present value now. */
export type MaySet = (path: string, value: string, present: string) => boolean;

/** A hint to observe the kernel again. */
export interface KernelEvent {
  /** Interface of a link event. */
  readonly link?: string | undefined;
  /** Whether an address was added or removed, which affects routes. */
  readonly isAddress: boolean;
  /** Whether a route was removed. */
  readonly isRouteGone?: boolean;
  /** Whether the event may concern our objects. */
  readonly isRelevant: boolean;
}

/** Tracked connections (conntrack). */
export interface Connections {
  /** Flushes the connections from and to the addresses after a short delay. */
  flush(addresses: readonly string[]): void;
  /** Flushes connections that were masqueraded with a link-local address. */
  flushLinkLocal(): Promise<void>;
  close(): void;
}

/** nft, as the table's manager needs it (nftables.ts). */
export interface Nft {
  /** Loads lines in one transaction. */
  load(lines: readonly string[]): Promise<CommandResult>;
  /** Returns whether the kernel would accept the lines. Changes nothing. */
  check(lines: readonly string[]): Promise<boolean>;
  /** Lists a table without counters; an empty text if it does not exist. Undefined when nft did not answer. */
  list(table: string): Promise<string | undefined>;
  /**
   * Returns a number that changes with every change to any table, by any program; undefined when unknown. Asking costs
   * microseconds, and a list of a table for 5,000 nodes a quarter of a second.
   */
  generation(): Promise<number | undefined>;
}

/** The contents of the table, each form a complete table as lines for `nft -f`. */
export interface TableRules {
  readonly whole: readonly string[];
  readonly guard: readonly string[];
  /** For a kernel that refuses the guard. */
  readonly nat: readonly string[];
}

/** Our nftables table (nftables.ts). */
export interface RulesTable {
  /** Sentences about rules that are not in force. */
  readonly problems: readonly string[];
  /** Whether the whole table was tried since the start. */
  readonly isTried: boolean;
  /** Whether nft did not answer, so that the same rules must be tried again. */
  readonly isUndecided: boolean;
  /** Applies the rules if they are new or another program changed the table. */
  apply(rules: TableRules): Promise<void>;
  /** Compares the kernel's table with the applied one. Resolves with whether another program changed it. */
  check(options: { readonly isFull: boolean }): Promise<boolean>;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly isUp: boolean;
  readonly mac: string;
  readonly mtu: number;
}

export interface Neighbour {
  readonly address: string;
  readonly device: string;
  readonly mac: string;
}

/** An address of an interface, with its prefix length there. */
export interface InterfaceAddress {
  readonly device: string;
  readonly cidr: string;
  /** Whether it has link scope, as our address on tunl0 does (linux/rtnetlink.h RT_SCOPE_LINK). */
  readonly isLinkScope?: boolean;
  /**
   * Duplicate address detection is in progress or found a duplicate: it must not be a source (RFC 4862 section 5.4).
   */
  readonly isTentative?: boolean;
  /** Short-lived: a temporary address, or one past its preferred lifetime (RFC 8981, RFC 4862). */
  readonly isFleeting?: boolean;
}

/** An address of an interface, with what matters for choosing the node's address. */
export interface LinkAddress {
  readonly device: string;
  readonly isUp: boolean;
  readonly mtu: number;
  /** Address with the prefix length of its subnet. */
  readonly cidr: string;
  readonly scope: string;
  /** Duplicate address detection is running or failed, so the kernel does not send from it. */
  readonly isTentative?: boolean;
  /** A temporary address, or one past its preferred lifetime. Used only when there is no other. */
  readonly isFleeting?: boolean;
}

export interface KernelState {
  readonly routes: readonly KernelRoute[];
  readonly links: ReadonlyMap<string, Link>;
  /** All addresses except IPv6 link-local ones. */
  readonly addresses: readonly InterfaceAddress[];
  /** Permanent entries only. */
  readonly neighbours: readonly Neighbour[];
}

/** The interfaces and their addresses. */
export type Interfaces = Pick<KernelState, 'links' | 'addresses'>;

/** The fixed properties of a VXLAN device. */
export interface VxlanState {
  readonly vni: number;
  readonly port: number;
  readonly local: string;
}
