/**
 * One sender, and peers with different capabilities to which its routes are passed on. Each peer's table, decoded from
 * the bytes that the group sent, is compared with the expected one. Only routes that exceed the limit may be withdrawn
 * for their length.
 */
import type { GroupSpec } from '../../bgp/group/spec.ts';
import { dumpTable } from '../../bgp/monitor/mrt.ts';
import type { ExportPolicy } from '../../bgp/policy/export.ts';
import { applyRulesPolicy } from '../../bgp/policy/rules-policy.ts';
import { attributesOf } from '../../bgp/rib/attribute-values.ts';
import type { PathAttributes } from '../../bgp/wire/attributes.ts';
import { encodeAttributes } from '../../bgp/wire/encode-attributes.ts';
import { Framer } from '../../bgp/wire/framer.ts';
import { BgpRole } from '../../bgp/wire/iana.ts';
import { decodeUpdate } from '../../bgp/wire/update.ts';
import { WireError } from '../../bgp/wire/wire-error.ts';
import { Writer } from '../../bgp/wire/writer.ts';
import { type Listener, Relay } from '../helpers/relay.ts';
import { canonical, expectedAttributes, isBetweenClients, measured } from './expected.ts';
import type { Random } from './random.ts';
import { type InboundForm, LOCAL_AS, PEER_AS, validUpdate } from './updates.ts';

interface Outlet {
  readonly listener: Listener;
  /** The peer's table: attributes as canonical text, by prefix and path identifier. */
  readonly held: Map<string, string>;
}

export interface Tally {
  advertised: number;
  withheld: number;
  tooLong: number;
}

/** Every combination of capabilities of a sender. */
export const inboundForms: readonly InboundForm[] = [true, false].flatMap((isIbgp) =>
  [true, false].flatMap((isFourOctetAs) =>
    [true, false].map((hasAddPath) => ({ isIbgp, isFourOctetAs, hasAddPath })),
  ),
);

const filter = (direction: 'import' | 'export', operations: object[]): ExportPolicy =>
  applyRulesPolicy(
    direction,
    [
      {
        filter: 'fuzz',
        rules: ['10.0.0.0/9', '2000::/3'].map((cidr) => ({
          cidr,
          matchOperator: 'In' as const,
          action: 'Accept' as const,
          operations,
        })),
      },
    ],
    false,
    { 4: 1024, 6: 1024 },
  )!;

/** An export policy that adds many communities; the list is made only once. */
const adding = (count: number): ExportPolicy => {
  const added = Array.from({ length: count }, (_, n) => 64_999 * 65_536 + n);
  return {
    key: `adds ${count}`,
    apply: ({ attributes }) => ({
      isAccepted: true,
      attributes: { ...attributes, communities: [...(attributes.communities ?? []), ...added] },
    }),
  };
};

const importPolicies = [
  undefined,
  filter('import', [
    { prependASPath: { prefix: [65_010, 70_000] } },
    { addCommunity: { value: '65010:1:1' } },
  ]),
  adding(30),
];
const exportPolicies = [
  undefined,
  filter('export', [
    { prependASPath: { prefix: Array<number>(10).fill(4_200_000_000) } },
    { setPriority: { value: 77 } },
    { addCommunity: { value: '64512:7' } },
  ]),
  adding(60),
];

/** Every combination of settings of a peer. The constructor selects different ones for the peers of a world. */
const outboundForms: readonly Partial<GroupSpec>[] = [4, 6].flatMap((family) =>
  [true, false].flatMap((isIbgp) =>
    [true, false].flatMap((isFourOctetAs) =>
      [4096, 65_535].flatMap((maxMessageLength) =>
        [true, false].flatMap((hasAddPath) =>
          exportPolicies.map((policy, index) => ({
            family: family as 4 | 6,
            isIbgp,
            isClient: isIbgp,
            isFourOctetAs,
            maxMessageLength,
            hasAddPath,
            policy,
            localAs: isFourOctetAs && index === 1 ? 200_000 : LOCAL_AS,
            hasExtendedNextHop: index === 2,
            nextHopMode: (['Auto', 'Self', 'Keep'] as const)[index]!,
            addsOtc: !isIbgp && index === 1,
            isRouteServer: !isIbgp && !hasAddPath,
            selfNextHop: family === 6 || index === 2 ? '20010db8000000000000000000000099' : '0a090909',
          })),
        ),
      ),
    ),
  ),
);

const OUTLETS = 3;

export class World {
  readonly #form: InboundForm;
  readonly #relay: Relay;
  readonly #outlets: Outlet[];
  readonly #tally: Tally;

  /** `index` selects the forms: consecutive values cover all of them. */
  constructor(index: number, tally: Tally) {
    this.#form = inboundForms[index % inboundForms.length]!;
    const { isIbgp, isFourOctetAs, hasAddPath } = this.#form;
    this.#relay = new Relay({
      isIbgp,
      isFourOctetAs,
      peerAs: isIbgp ? LOCAL_AS : PEER_AS,
      // Each form of an external peer alternates between an ordinary peer and a client of a route server.
      role: !isIbgp && Math.floor(index / inboundForms.length) % 2 === 1 ? BgpRole.ROUTE_SERVER : undefined,
      addPath: hasAddPath ? [4, 6] : [],
      policy: importPolicies[Math.floor(index / inboundForms.length) % importPolicies.length],
    });
    this.#outlets = Array.from({ length: OUTLETS }, (_, n) => {
      const spec = outboundForms[(index * 7 + n * 29) % outboundForms.length]!;
      return { listener: this.#relay.listen(spec), held: new Map() };
    });
    this.#tally = tally;
  }

  get form(): InboundForm {
    return this.#form;
  }

  /** Returns a valid message of the sender. */
  message(random: Random): Uint8Array {
    return validUpdate(random, this.#form);
  }

  /** Returns false if the message ends the session. Throws only on a fault in our code. */
  receive(body: Uint8Array): boolean {
    try {
      this.#relay.receiver.receive(body);
      return true;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return false;
    }
  }

  /** Distributes changes and compares each peer's table with the expected one. Throws with the difference. */
  check(): void {
    const changed = this.#relay.turn();
    for (const outlet of this.#outlets) {
      this.#read(outlet);
      const { family } = outlet.listener.group.spec;
      for (const prefix of changed[family]) this.#compare(outlet, prefix);
    }
  }

  /** Withdraws all routes. Afterwards no peer may hold a route, and no attribute set may be left. */
  reset(): void {
    const peer = { source: this.#relay.sender, address: '10.0.0.2', identifier: '10.0.0.2', asNumber: 1 };
    for (const record of dumpTable([this.#relay.ribs[4], this.#relay.ribs[6]], [peer], '10.0.0.1', 0)) {
      const length = new DataView(record.buffer, record.byteOffset).getUint32(8);
      if (record.length !== 12 + length)
        throw new Error(`the length field of an MRT record of ${record.length} octets is ${length}`);
    }
    for (const family of [4, 6] as const) this.#relay.ribs[family].drop(this.#relay.sender, 'all');
    this.check();
    for (const { held } of this.#outlets)
      if (held.size > 0) throw new Error(`a peer still holds ${[...held.keys()].join(', ')}`);
    // Each export policy keeps the set that it made last.
    const left = this.#relay.attributes.size;
    if (left > OUTLETS) throw new Error(`${left} attribute sets remain after all routes were withdrawn`);
  }

  #read({ listener, held }: Outlet): void {
    const { family, isIbgp, isFourOctetAs, hasAddPath, hasExtendedNextHop, maxMessageLength } =
      listener.group.spec;
    const framer = new Framer();
    if (maxMessageLength > 4096) framer.allowExtended();
    const context = { isIbgp, isFourOctetAs, hasExtendedNextHop, addPath: hasAddPath ? [family] : [] };
    framer.push(listener.take(), ({ body }) => {
      const update = decodeUpdate(body, context);
      if (update.faults.length > 0)
        throw new Error(`the relay sent a malformed UPDATE: ${JSON.stringify(update.faults)}`);
      for (const route of [...update.withdrawn, ...(update.unreach?.routes ?? [])])
        held.delete(keyOf(route.prefix, route.pathId));
      const routes = [...update.nlri, ...(update.reach?.routes ?? [])];
      const text = routes.length > 0 ? canonical(update.attributes!) : '';
      for (const route of routes) held.set(keyOf(route.prefix, route.pathId), text);
      return true;
    });
  }

  #compare({ listener, held }: Outlet, row: number): void {
    const { spec } = listener.group;
    const rib = this.#relay.ribs[spec.family];
    const prefix = rib.prefixes.text(row);
    const best = rib.best[row]!;
    const paths = spec.hasAddPath ? [...rib.pathsTo(row)] : best < 0 ? [] : [best];
    const expected = new Map<string, string>();
    for (const path of paths) {
      if (!rib.isUsable(path)) continue;
      const value = this.#expected(listener, path, prefix);
      if (value !== undefined) expected.set(keyOf(prefix, spec.hasAddPath ? path + 1 : undefined), value);
    }
    const keys = spec.hasAddPath ? [...held.keys()].filter((key) => key.startsWith(`${prefix} `)) : [prefix];
    for (const key of new Set([...keys, ...expected.keys()])) {
      if (held.get(key) === expected.get(key)) continue;
      throw new Error(
        `${key}: the peer holds ${held.get(key) ?? 'nothing'}, expected ${expected.get(key) ?? 'nothing'}; ${JSON.stringify(spec)}`,
      );
    }
  }

  /** Returns the attributes to expect for a path at a peer; undefined if it must not be advertised. */
  #expected(listener: Listener, path: number, prefix: string): string | undefined {
    const { spec } = listener.group;
    const rib = this.#relay.ribs[spec.family];
    const from = rib.sources.at(rib.paths.source[path]!);
    const received = attributesOf(rib.attributes, rib.paths.attributes[path]!);
    const isTransparent = isBetweenClients(from, spec);
    const isLinkLocal = isTransparent && /^fe[89ab]/.test(received.nextHop);
    if (isLinkLocal || isKeptBack(received, spec, isTransparent)) {
      this.#tally.withheld++;
      return undefined;
    }
    const judged = spec.policy?.apply({ prefix, attributes: received, isLocal: false, isIbgp: from.isIbgp });
    const after = judged?.isAccepted ? judged.attributes : received;
    const advertised = expectedAttributes(after, from, spec);
    if (spec.family === 4 && advertised.nextHop.includes(':') && !spec.hasExtendedNextHop) return undefined;
    const entry = rib.prefixes.wireLength(rib.paths.prefix[path]!) + (spec.hasAddPath ? 4 : 0);
    // Policy works on the normal form, which has a separate limit.
    const isTooLong = measured(advertised, spec, entry) > spec.maxMessageLength || !hasNormalForm(after);
    this.#tally[isTooLong ? 'tooLong' : 'advertised']++;
    return isTooLong ? undefined : canonical(advertised);
  }
}

/** Whether attributes after policy fit into the attribute table, whose sets fit into an UPDATE. */
function hasNormalForm(attributes: PathAttributes): boolean {
  const form = { isIbgp: true, isFourOctetAs: true, hasNextHop: false };
  return encodeAttributes(attributes, new Writer(), form) <= 65_535 - 19 - 4;
}

/** Whether communities keep a route from a peer (RFC 1997, RFC 9494). A route server ignores those of RFC 1997. */
function isKeptBack(
  { communities = [] }: PathAttributes,
  { isIbgp }: GroupSpec,
  isTransparent: boolean,
): boolean {
  if (communities.includes(0xffff0006)) return true;
  if (isTransparent) return false;
  if (communities.includes(0xffffff02)) return true;
  return !isIbgp && (communities.includes(0xffffff01) || communities.includes(0xffffff03));
}

function keyOf(prefix: string, pathId: number | undefined): string {
  return pathId === undefined ? prefix : `${prefix} ${pathId}`;
}
