/** Relays UPDATEs from one peer to others, bytes to bytes: receiver, RIB and update groups. */

import type { Member } from '../../bgp/group/member.ts';
import type { GroupSpec } from '../../bgp/group/spec.ts';
import { UpdateGroup } from '../../bgp/group/update-group.ts';
import { type Received, type ReceiverContext, UpdateReceiver } from '../../bgp/peer/receiver.ts';
import { AttributeTable } from '../../bgp/rib/attribute-table.ts';
import { Rib } from '../../bgp/rib/rib.ts';
import { type Source, SourceTable } from '../../bgp/rib/source.ts';
import { BgpRole } from '../../bgp/wire/iana.ts';
import type { Family } from '../../lib/cidr.ts';
import { failOnFault } from './rib.ts';

export const senderContext: Omit<ReceiverContext, 'source'> = {
  isIbgp: true,
  isFourOctetAs: true,
  localAs: 64512,
  globalAs: 64512,
  peerAs: 64512,
  families: [4, 6],
  addPath: [],
  hasExtendedNextHop: true,
  identifier: 1,
  clusterId: 1,
  ownAddresses: new Set(),
  allowedLocalAs: 0,
  role: undefined,
  requiresPolicy: false,
  policy: undefined,
  maxPrefixes: undefined,
};

export const listenerSpec: GroupSpec = {
  family: 4,
  isIbgp: true,
  isClient: true,
  clusterId: 0x0a0a0a0a,
  localAs: 64512,
  isFourOctetAs: true,
  maxMessageLength: 4096,
  hasAddPath: false,
  hasExtendedNextHop: false,
  hasLongLived: false,
  nextHopMode: 'Auto',
  selfNextHop: '0a090909',
  isRouteServer: false,
  addsOtc: false,
  refusesOtc: false,
  localPref: 100,
  policy: undefined,
};

/** A group member that records the bytes sent to it. */
export class Listener implements Member {
  readonly source: number;
  readonly queued = 0;
  readonly group: UpdateGroup;
  sent: Uint8Array[] = [];

  constructor(group: UpdateGroup, source: number) {
    this.group = group;
    this.source = source;
    group.join(this);
    while (group.hasWork) group.step();
  }

  send(bytes: Uint8Array): void {
    this.sent.push(bytes);
  }

  /** Returns the bytes sent since the last call. */
  take(): Uint8Array {
    const bytes = Buffer.concat(this.sent);
    this.sent = [];
    return bytes;
  }

  syncBegins(): void {}
  syncEnds(): void {}
  counted(): void {}
}

export class Relay {
  readonly sources = new SourceTable();
  readonly attributes = new AttributeTable();
  readonly ribs = {
    4: new Rib(4, this.attributes, this.sources),
    6: new Rib(6, this.attributes, this.sources),
  };
  readonly sender: number;
  readonly receiver: UpdateReceiver;
  readonly listeners: Listener[] = [];

  constructor(context: Partial<ReceiverContext> = {}) {
    const isIbgp = context.isIbgp ?? true;
    const isRouteServerClient = !isIbgp && context.role === BgpRole.ROUTE_SERVER;
    this.sender = this.#source('10.0.0.2', { isIbgp, isRouteServerClient });
    const peerAs = isIbgp ? 64512 : 65001;
    this.receiver = new UpdateReceiver(this.ribs, {
      ...senderContext,
      peerAs,
      ...context,
      source: this.sender,
    });
  }

  /** Adds a peer with these settings; it is sent the routes present. */
  listen(spec: Partial<GroupSpec> = {}): Listener {
    const { family = 4 } = spec;
    if (spec.hasAddPath) this.ribs[family].tracksPaths = true;
    const group = new UpdateGroup({ ...listenerSpec, ...spec }, this.ribs[family], failOnFault);
    const listener = new Listener(group, this.#source('10.0.0.3', { isIbgp: spec.isIbgp ?? true }));
    this.listeners.push(listener);
    return listener;
  }

  /** Receives the body of an UPDATE and sends the resulting changes. */
  receive(body: Uint8Array): Received {
    const received = this.receiver.receive(body);
    this.turn();
    return received;
  }

  /** Runs the decision process and distributes the result. Returns the rows of the prefixes that changed. */
  turn(): Record<Family, readonly number[]> {
    const changed: Record<Family, readonly number[]> = { 4: [], 6: [] };
    for (const family of [4, 6] as const) {
      const rib = this.ribs[family];
      if (!rib.hasChanges) continue;
      const prefixes = rib.decideChanged();
      changed[family] = [...prefixes];
      for (const { group } of this.listeners)
        if (group.spec.family === family) group.flush(prefixes, rib.touchedPaths());
      rib.endTurn(true);
    }
    return changed;
  }

  /** Why the sender's path to a prefix is not the best; undefined without such a path. */
  reason(prefix: string, family: Family = 4): string | undefined {
    const rib = this.ribs[family];
    const row = rib.prefixes.findText(prefix);
    const [path] = row < 0 ? [] : [...rib.pathsTo(row)];
    return path === undefined ? undefined : rib.explain(row, path);
  }

  /** Why a prefix is not sent to a listener. */
  refusal(listener: Listener, prefix: string): string | undefined {
    const rib = this.ribs[listener.group.spec.family];
    return listener.group.refusal(listener, rib.prefixes.findText(prefix));
  }

  #source(address: string, change: Partial<Source>): number {
    return this.sources.add({
      peer: address,
      isIbgp: true,
      isClient: true,
      identifier: 0x0a000002,
      address,
      addressValue: 2n,
      ...change,
    });
  }
}
