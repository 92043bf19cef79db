/** A route that fits into no message is withdrawn, without other effects (RFC 4271 9.2, RFC 7606, RFC 8654 4). */
import { describe, expect, it } from 'vitest';
import { dumpTable } from '../../../bgp/monitor/mrt.ts';
import type { ExportPolicy } from '../../../bgp/policy/export.ts';
import { addCommunity } from '../../../bgp/policy/filter.ts';
import { applyRulesPolicy } from '../../../bgp/policy/rules-policy.ts';
import { Framer } from '../../../bgp/wire/framer.ts';
import { decodeUpdate, type UpdateContext } from '../../../bgp/wire/update.ts';
import { Relay } from '../../helpers/relay.ts';

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
const u16 = (value: number) => value.toString(16).padStart(4, '0');

/** Body of an UPDATE: attributes and IPv4 prefixes, in hex. */
function body(attributes: string, nlri = '08 0a'): Uint8Array {
  return hex(`0000 ${u16(hex(attributes).length)} ${attributes} ${nlri}`);
}

const ORIGIN = '40 01 01 00';
const EMPTY_PATH = '40 02 00';
const NEXT_HOP = '40 03 04 0a000001';
const LOCAL_PREF = '40 05 04 00000064';
const plain = `${ORIGIN} ${EMPTY_PATH} ${NEXT_HOP} ${LOCAL_PREF}`;
/** COMMUNITIES 1:1 to 1:count. */
const communities = (count: number) =>
  `d0 08 ${u16(count * 4)} ${Array.from({ length: count }, (_, n) => `0001${u16(n + 1)}`).join('')}`;
/** AS_PATH of segments of 255 numbers of two octets. */
const oldPath = (segments: number, as = 'fde9') =>
  `50 02 ${u16(segments * 512)} ${`02ff${as.repeat(255)}`.repeat(segments)}`;

const addsCommunities = (count: number): ExportPolicy => ({
  key: `adds ${count}`,
  apply: ({ attributes }) => ({
    isAccepted: true,
    attributes: Array.from({ length: count }, (_, n) => `2:${n}`).reduce(addCommunity, attributes),
  }),
});

const prepends = (prefix: readonly number[]) =>
  applyRulesPolicy(
    'export',
    [
      {
        filter: 'prepend',
        rules: [
          {
            cidr: '0.0.0.0/0',
            matchOperator: 'In',
            action: 'Accept',
            operations: [{ prependASPath: { prefix } }],
          },
        ],
      },
    ],
    false,
    { 4: 1024, 6: 1024 },
  );

/** Decodes the UPDATEs sent to a listener. Their length may be at most `limit`, 4,096 or extended. */
function updates(
  bytes: Uint8Array,
  limit: number,
  context: UpdateContext = { isFourOctetAs: true, isIbgp: true },
) {
  const framer = new Framer();
  if (limit > 4096) framer.allowExtended();
  const found: ReturnType<typeof decodeUpdate>[] = [];
  framer.push(bytes, (frame) => found.push(decodeUpdate(frame.body, context)) > 0);
  return found;
}

describe('attributes that grow after they were received', () => {
  it('withdraw the route when 100 full segments arrive from a 2-octet peer, and other routes stay (RFC 6793)', () => {
    const relay = new Relay({ isFourOctetAs: false });
    relay.receive(body(plain, '08 0a 08 0b'));
    const { faults } = relay.receive(body(`${ORIGIN} ${oldPath(100)} ${NEXT_HOP} ${LOCAL_PREF}`));
    expect(faults).toEqual([
      { verdict: 'withdraw', reason: expect.stringMatching(/take 102\d\d\d octets.*RFC 6793/) },
    ]);
    expect(relay.reason('10.0.0.0/8')).toBeUndefined();
    expect(relay.reason('11.0.0.0/8')).toBe('best');
  });

  it('are accepted when the longest possible path still fits, with AS4_PATH merged', () => {
    const relay = new Relay({ isFourOctetAs: false });
    const as4 = '50 11 00 0c 02 02 00010000 00010001'.replace('50 11 00 0c', 'c0 11 0a');
    const { faults } = relay.receive(body(`${ORIGIN} ${oldPath(62)} ${NEXT_HOP} ${LOCAL_PREF} ${as4}`));
    expect(faults).toEqual([]);
    expect(relay.reason('10.0.0.0/8')).toBe('best');
  });

  it('reject the route with a reason when an import filter makes them too long', () => {
    const relay = new Relay({ policy: addsCommunities(300) });
    relay.receive(body(`${plain} ${communities(16_200)}`));
    expect(relay.reason('10.0.0.0/8')).toMatch(/policy makes its attributes too long for an UPDATE/);
    relay.receive(body(`${plain} ${communities(3)}`));
    expect(relay.reason('10.0.0.0/8')).toBe('best');
  });
});

describe('a route that does not fit into a message to a peer', () => {
  it('is withdrawn from a 4,096-octet peer with a reason, and advertised to a 65,535-octet one (RFC 4271 9.2)', () => {
    const relay = new Relay();
    const short = relay.listen();
    const long = relay.listen({ maxMessageLength: 65_535 });
    relay.receive(body(plain));
    expect(updates(short.take(), 4096).flatMap(({ nlri }) => nlri)).toEqual([{ prefix: '10.0.0.0/8' }]);
    long.take();
    relay.receive(body(`${plain} ${communities(1010)}`));
    expect(updates(short.take(), 4096)).toMatchObject([{ withdrawn: [{ prefix: '10.0.0.0/8' }], nlri: [] }]);
    expect(updates(long.take(), 65_535)).toMatchObject([{ nlri: [{ prefix: '10.0.0.0/8' }] }]);
    expect(relay.refusal(short, '10.0.0.0/8')).toMatch(
      /UPDATE would have 41\d\d octets, the peer accepts 4096/,
    );
    expect(short.group.tooLong).toHaveLength(1);
    relay.receive(body(plain));
    expect(short.group.tooLong).toHaveLength(0);
    expect(updates(short.take(), 4096)).toMatchObject([{ nlri: [{ prefix: '10.0.0.0/8' }] }]);
  });

  it('is measured to the octet: a message of exactly 4,096 octets is sent', () => {
    const relay = new Relay();
    const listener = relay.listen();
    // Header and lengths 23; ORIGIN 4, AS_PATH 3, NEXT_HOP 7, LOCAL_PREF 7, ORIGINATOR_ID 7, CLUSTER_LIST 7.
    const room = 4096 - 23 - 35 - 4;
    const unknown = (octets: number) => `f0 63 ${u16(octets)} ${'00'.repeat(octets)}`;
    relay.receive(body(`${plain} ${unknown(room - 2)}`, '08 0a'));
    expect(listener.take().length).toBe(4096);
    relay.receive(body(`${plain} ${unknown(room - 2)}`, '10 0a0b'));
    expect(listener.take().length).toBe(0);
    expect(relay.refusal(listener, '10.11.0.0/16')).toMatch(/4097 octets/);
  });

  it.each<[string, Partial<Parameters<Relay['listen']>[0] & object>, string]>([
    [
      'our AS in front',
      { isIbgp: false },
      `${ORIGIN} ${EMPTY_PATH} ${NEXT_HOP} ${LOCAL_PREF} ${communities(1012)}`,
    ],
    [
      'AS4_PATH',
      { isFourOctetAs: false },
      `${ORIGIN} 50 02 0bfa ${`02ff${'00010000'.repeat(255)}`.repeat(3)} ${NEXT_HOP} ${LOCAL_PREF}`,
    ],
    ['an export filter', { policy: addsCommunities(100) }, `${plain} ${communities(950)}`],
  ])('is withdrawn when %s makes it too long', (_, spec, attributes) => {
    const relay = new Relay();
    const listener = relay.listen(spec);
    relay.receive(body(plain));
    listener.take();
    relay.receive(body(attributes));
    const context = { isFourOctetAs: spec.isFourOctetAs ?? true, isIbgp: spec.isIbgp ?? true };
    expect(updates(listener.take(), 4096, context)).toMatchObject([
      { withdrawn: [{ prefix: '10.0.0.0/8' }] },
    ]);
    expect(relay.refusal(listener, '10.0.0.0/8')).toMatch(/too long/);
  });

  it('is withdrawn with its own reason when an export filter makes its attributes longer than any UPDATE', () => {
    const relay = new Relay();
    const listener = relay.listen({ maxMessageLength: 65_535, policy: addsCommunities(300) });
    relay.receive(body(`${plain} ${communities(16_200)}`));
    expect(listener.take().length).toBe(0);
    expect(relay.refusal(listener, '10.0.0.0/8')).toMatch(/policy makes its attributes too long/);
    expect(listener.group.tooLong).toHaveLength(1);
  });

  it('does not fit even into 65,535 octets with 16,369 communities and our own additions', () => {
    const relay = new Relay();
    const listener = relay.listen({ maxMessageLength: 65_535 });
    relay.receive(body(`${plain} ${communities(16_369)}`));
    expect(relay.reason('10.0.0.0/8')).toBe('best');
    expect(listener.take().length).toBe(0);
    expect(relay.refusal(listener, '10.0.0.0/8')).toMatch(/the peer accepts 65535/);
  });

  it('an MRT dump has room for the longest possible attributes and next hop in its length field (RFC 6396)', () => {
    const relay = new Relay({ isFourOctetAs: false });
    // 64 segments of 255 and one of 18 take 65,482 octets at four octets per AS number; with the rest 65,497.
    const path = `50 02 ${u16(64 * 512 + 38)} ${`02ff${'fde9'.repeat(255)}`.repeat(64)} 0212 ${'fde9'.repeat(18)}`;
    const v6 = '80 0e 1a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8';
    expect(relay.receive(body(`${v6} ${ORIGIN} ${path} ${NEXT_HOP} ${LOCAL_PREF}`)).faults).toEqual([]);
    const peers = [{ source: relay.sender, address: '10.0.0.2', identifier: '10.0.0.2', asNumber: 64512 }];
    const records = [...dumpTable([relay.ribs[4], relay.ribs[6]], peers, '10.0.0.1', 0)].map((bytes) =>
      Buffer.from(bytes),
    );
    // Header 12, sequence 4, prefix, count 2, index 2, time 4, and the length field of the attributes.
    expect(records.slice(1).map((one) => one.readUInt16BE(12 + 4 + one[16 + 0]! / 8 + 1 + 8))).toEqual([
      65_497 + 7,
      65_497 + 20,
    ]);
    for (const one of records) expect(one.length).toBe(12 + one.readUInt32BE(8));
  });
});

describe('to a peer with 2-octet AS numbers (RFC 6793)', () => {
  const wide = `${ORIGIN} 40 02 0a 02 02 00010000 0000fde8 ${NEXT_HOP} ${LOCAL_PREF} c0 07 08 00010001 0a000009`;

  it('AS_TRANS is sent, with AS4_PATH and AS4_AGGREGATOR last, in ascending order of type', () => {
    const relay = new Relay();
    const listener = relay.listen({ isFourOctetAs: false });
    relay.receive(body(wide));
    const sent = Buffer.from(listener.take()).toString('hex');
    const expected = `40010100 4002060202 5ba0fde8 4003040a000001 40050400000064 c00706 5ba00a000009
      8009040a000002 800a040a0a0a0a c0110a0202000100000000fde8 c01208000100010a000009 080a`;
    expect(sent.slice(46)).toBe(expected.replace(/\s+/g, ''));
  });

  it('our 4-octet AS is prepended in AS4_PATH too, even for an empty path', () => {
    const relay = new Relay();
    const listener = relay.listen({ isFourOctetAs: false, isIbgp: false, localAs: 200_000 });
    relay.receive(body(plain));
    const sent = Buffer.from(listener.take()).toString('hex');
    expect(sent.slice(46)).toBe(
      '40010100400204' + '02015ba0' + '4003040a090909' + 'c01106020100030d40' + '080a',
    );
  });

  it('prepending to a full segment of 255, by us or by a filter, adds a second segment in front', () => {
    const relay = new Relay();
    const full = `50 02 03fe 02ff ${'0000fde8'.repeat(255)}`;
    const listener = relay.listen({
      isFourOctetAs: false,
      isIbgp: false,
      policy: prepends([65_010, 70_000]),
    });
    relay.receive(body(`${ORIGIN} ${full} ${NEXT_HOP} ${LOCAL_PREF}`));
    const [update] = updates(listener.take(), 4096, { isFourOctetAs: false, isIbgp: false });
    const path = update!.attributes!.asPath.flatMap(({ asNumbers }) => asNumbers);
    expect(path).toEqual([64_512, 65_010, 70_000, ...Array<number>(255).fill(65_000)]);
  });
});

describe('flags of an attribute (RFC 4271 section 4.3)', () => {
  it.each([
    ['the partial bit of a well-known attribute', '60 01 01 00', '40010100'],
    ['the low bits of a well-known attribute', '4f 01 01 00', '40010100'],
  ])('are passed on without %s', (_, received, sent) => {
    for (const isFourOctetAs of [true, false]) {
      const relay = new Relay({ isFourOctetAs });
      const listener = relay.listen();
      relay.receive(body(`${received} ${EMPTY_PATH} ${NEXT_HOP} ${LOCAL_PREF}`));
      expect(Buffer.from(listener.take()).toString('hex').slice(46, 54)).toBe(sent);
    }
  });

  it('keep the partial bit of an optional transitive attribute, but not its low bits', () => {
    for (const isFourOctetAs of [true, false]) {
      const relay = new Relay({ isFourOctetAs });
      const listener = relay.listen();
      relay.receive(body(`${plain} e5 08 04 00010002 e3 63 01 07`));
      const sent = Buffer.from(listener.take()).toString('hex');
      expect(sent).toContain('e0080400010002');
      expect(sent).toContain('e0630107');
    }
  });
});

describe('a link-local next hop (RFC 2545 section 3)', () => {
  const LL = `fe80${'00'.repeat(13)}11`;
  const reach = (nextHop: string) =>
    `80 0e ${(5 + nextHop.length / 2 + 7).toString(16)} 0002 01 ${(nextHop.length / 2).toString(16)} ${nextHop} 00 30 20010db80001`;
  const update = (nextHop: string) => {
    const attributes = `${reach(nextHop)} ${ORIGIN} ${EMPTY_PATH} ${LOCAL_PREF}`;
    return hex(`0000 ${u16(hex(attributes).length)} ${attributes}`);
  };

  it.each([
    ['alone', LL],
    ['after an empty global one, as BIRD sends it,', '00'.repeat(16) + LL],
    ['in both halves', LL + LL],
  ])(
    '%s is replaced by our address; without one the route is not advertised, with a reason',
    (_, nextHop) => {
      const relay = new Relay();
      const self = `fd99${'00'.repeat(13)}01`;
      const listener = relay.listen({ family: 6, selfNextHop: self });
      const without = relay.listen({ family: 6, selfNextHop: '' });
      relay.receive(update(nextHop));
      expect(Buffer.from(listener.take()).toString('hex')).toContain(`00020110${self}003020010db80001`);
      expect(without.take().length).toBe(0);
      expect(relay.refusal(without, '2001:db8:1::/48')).toMatch(/link-local.*no IPv6 address.*RFC 2545/);
    },
  );

  it('is not taken from a second half that is not link-local: the first half is used', () => {
    const relay = new Relay();
    const global = `20010db8${'00'.repeat(11)}01`;
    const listener = relay.listen({ family: 6, selfNextHop: '' });
    relay.receive(update(global + global));
    expect(Buffer.from(listener.take()).toString('hex')).toContain(`00020110${global}00`);
  });
});
