/**
 * V8 compiles a function after many calls. Without warm-up, that is in the middle of the first tables, which a
 * restarted reflector receives from all clients at once. So this passes UPDATEs through receiver, RIB and group before
 * the first connection.
 */
import { PeerMember } from './group/peer-member.ts';
import { UpdateGroups } from './group/update-groups.ts';
import type { PeerConfig } from './peer/config.ts';
import { groupSpec, receiverContext } from './peer/context.ts';
import { OwnAddresses } from './peer/own-addresses.ts';
import { UpdateReceiver } from './peer/receiver.ts';
import { AttributeTable } from './rib/attribute-table.ts';
import { Rib } from './rib/rib.ts';
import { SourceTable } from './rib/source.ts';
import type { Negotiated } from './session/session.ts';
import { Framer } from './wire/framer.ts';
import { HEADER_LENGTH, Origin } from './wire/iana.ts';
import { encodeMessage } from './wire/message.ts';
import { WITHDRAWN_AT } from './wire/update.ts';

const AS = 64512;
const PREFIXES_EACH = 10;
/** UPDATEs between two decisions, like those from one read of a socket. */
const TURN = 250;
const UPDATES = 4 * TURN;

const config: PeerConfig = {
  address: '192.0.2.1',
  port: 179,
  asNumber: AS,
  localAs: AS,
  localAddress: undefined,
  families: [4],
  isPassive: true,
  peerType: 'dynamic',
  name: '',
  holdTimeSeconds: 90,
  restartTimeSeconds: 120,
  allowedLocalAs: 0,
  isClient: true,
  clusterId: '192.0.2.9',
};

const negotiated: Negotiated = {
  peerAs: AS,
  isIbgp: true,
  isFourOctetAs: true,
  families: [4],
  addPathSend: [],
  addPathReceive: [],
  hasExtendedNextHop: false,
  hasExtendedMessages: false,
  hasRouteRefresh: true,
  hasEnhancedRefresh: false,
  hasNotificationRestart: false,
  peerRestart: undefined,
  peerLongLived: [],
  hasLongLived: false,
  peerIdentifier: '192.0.2.1',
  holdTimeSeconds: 90,
  keepaliveSeconds: 30,
};

/**
 * Passes a thousand UPDATEs with ten prefixes each from one client to another, then withdraws the prefixes. It uses
 * separate tables and takes 0.1 s. Returns the number of UPDATEs sent to the other client.
 */
export function warmUp(): number {
  const sources = new SourceTable();
  const attributes = new AttributeTable();
  const ribs = { 4: new Rib(4, attributes, sources), 6: new Rib(6, attributes, sources) };
  const identity = {
    identifier: config.clusterId!,
    addresses: () => ({}),
    ownAddresses: new OwnAddresses({ node: {} }, () => false),
    isRestarting: () => false,
  };
  const groups = new UpdateGroups(ribs, {
    workChanged() {},
    routeFault(error) {
      throw error;
    },
    groupFault(_, error) {
      throw error;
    },
  });
  // Same properties in the same order as in sourceOf. For V8, another order is another type, and it discards compiled code.
  const describe = (address: string, identifier: number) => ({
    peer: address,
    isIbgp: true,
    isClient: true,
    isWorkload: false,
    isRouteServerClient: false,
    identifier,
    address,
    addressValue: BigInt(identifier),
  });
  const teller = sources.add(describe('192.0.2.1', 1));
  const listener = {
    source: sources.add(describe('192.0.2.2', 2)),
    counters: { updatesSent: 0, messagesSent: 0 },
    runner: { connection: undefined },
    sendUpdates() {},
    marker() {},
  };
  groups.join(new PeerMember(listener, 4), groupSpec(config, identity, 4, negotiated, undefined));
  groups.step();
  const receiver = new UpdateReceiver(ribs, receiverContext(config, identity, teller, negotiated));
  const framer = new Framer();
  const rib = ribs[4];
  for (const message of [announcement(), withdrawal()]) {
    for (let number = 1; number <= UPDATES; number++) {
      message.change(number);
      framer.push(message.bytes, ({ body }) => {
        receiver.receive(body);
        return true;
      });
      if (number % TURN !== 0) continue;
      groups.flush(4, rib.decideChanged(), rib.touchedPaths());
      groups.step();
      rib.endTurn(true);
    }
  }
  return listener.counters.updatesSent;
}

/** An UPDATE that `change` turns into another one. */
interface Changeable {
  readonly bytes: Uint8Array;
  change(number: number): void;
}

const encoding = { isFourOctetAs: true, isIbgp: true };
const prefixes = Array.from({ length: PREFIXES_EACH }, (_, i) => ({ prefix: `10.0.0.${i}/32` }));
/** Octets of a /32 in NLRI: the length and the address. */
const PREFIX_OCTETS = 5;
const MED = 0xabcdef01;

function announcement(): Changeable {
  const attributes = { origin: Origin.IGP, asPath: [], nextHop: '192.0.2.1', localPref: 100, med: MED };
  const routes = { withdrawn: [], nlri: prefixes, reach: undefined, unreach: undefined, attributes };
  const bytes = encodeMessage({ type: 'update', ...routes }, encoding);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let med = 0;
  while (view.getUint32(med) !== MED) med++;
  const at = bytes.length - PREFIXES_EACH * PREFIX_OCTETS;
  return {
    bytes,
    change(number) {
      view.setUint32(med, number);
      setPrefixes(bytes, at, number);
    },
  };
}

function withdrawal(): Changeable {
  const routes = { nlri: [], reach: undefined, unreach: undefined, attributes: undefined };
  const bytes = encodeMessage({ type: 'update', withdrawn: prefixes, ...routes }, encoding);
  const at = HEADER_LENGTH + WITHDRAWN_AT;
  return { bytes, change: (number) => setPrefixes(bytes, at, number) };
}

function setPrefixes(bytes: Uint8Array, at: number, number: number): void {
  for (let i = 0; i < PREFIXES_EACH; i++) {
    bytes[at + i * PREFIX_OCTETS + 2] = number >> 8;
    bytes[at + i * PREFIX_OCTETS + 3] = number;
  }
}
