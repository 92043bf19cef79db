/**
 * Faulty UPDATEs and their outcome (RFC 7606): one row per case, in bytes.
 *
 * The attributes of a row replace those of a good UPDATE, by type. `internal` and `external` are the outcomes for each
 * kind of peer:
 *
 *   used       the route is used
 *   discard    the route is used without the attribute
 *   withdraw   the route is withdrawn, and the session continues
 *   refused    the route is kept but not used, with a reason
 *   reset C/S  the session ends with this NOTIFICATION
 */

export interface UpdateCase {
  readonly what: string;
  readonly clause: string;
  readonly internal: string;
  readonly external: string;
  /** By type; undefined removes one. 256 is not a type: its octets are appended last, unchanged. */
  readonly attributes?: Readonly<Record<number, string | undefined>>;
  /** The attributes that remain in place of a discarded one, in the same form; none by default. */
  readonly leaves?: Readonly<Record<number, string>>;
  /** IPv4 in the classic fields (the default), IPv6 in MP_REACH_NLRI, or no route announced. */
  readonly form?: 'classic' | 'multiprotocol' | 'nothing';
  /** The peer supports only two-octet AS numbers. */
  readonly isOld?: boolean;
  /** Prefixes have path identifiers. */
  readonly hasAddPath?: boolean;
  /** IPv4 prefixes may have IPv6 next hops; true by default. */
  readonly hasExtendedNextHop?: boolean;
  /** MP_REACH_NLRI carries IPv4. */
  readonly isAboutIpv4?: boolean;
  readonly nlri?: string;
  readonly withdrawn?: string;
}

type Both = Omit<UpdateCase, 'what' | 'clause' | 'internal' | 'external'>;

/** A case with the same outcome for both kinds of peers. */
const same = (what: string, clause: string, outcome: string, rest: Both): UpdateCase => ({
  what,
  clause,
  internal: outcome,
  external: outcome,
  ...rest,
});

const u8 = (value: number) => value.toString(16).padStart(2, '0');
const u16 = (value: number) => value.toString(16).padStart(4, '0');
const u32 = (value: number) => value.toString(16).padStart(8, '0');
const zeros = (octets: number) => '00'.repeat(octets);
/** An attribute with a short header. */
const attribute = (flags: string, type: number, value: string) =>
  `${flags} ${u8(type)} ${u8(value.replace(/\s+/g, '').length / 2)} ${value}`;

interface Known {
  readonly type: number;
  readonly name: string;
  readonly flags: string;
  readonly good: string;
  /** Invalid sizes, in octets. */
  readonly wrong: readonly number[];
  readonly clause: string;
  readonly internal: string;
  readonly external: string;
  readonly isOld?: boolean;
}

const known: readonly Known[] = [
  {
    type: 1,
    name: 'ORIGIN',
    flags: '40',
    good: '00',
    wrong: [0, 2, 5],
    clause: '7606 7.1',
    internal: 'withdraw',
    external: 'withdraw',
  },
  {
    type: 3,
    name: 'NEXT_HOP',
    flags: '40',
    good: '0a000032',
    wrong: [0, 3, 5, 16],
    clause: '7606 7.3',
    internal: 'withdraw',
    external: 'withdraw',
  },
  {
    type: 4,
    name: 'MULTI_EXIT_DISC',
    flags: '80',
    good: '00000007',
    wrong: [0, 3, 5, 8],
    clause: '7606 7.4',
    internal: 'withdraw',
    external: 'withdraw',
  },
  {
    type: 5,
    name: 'LOCAL_PREF',
    flags: '40',
    good: '00000064',
    wrong: [0, 3, 5],
    clause: '7606 7.5',
    internal: 'withdraw',
    external: 'discard',
  },
  {
    type: 6,
    name: 'ATOMIC_AGGREGATE',
    flags: '40',
    good: '',
    wrong: [1, 4],
    clause: '7606 7.6',
    internal: 'discard',
    external: 'discard',
  },
  {
    type: 7,
    name: 'AGGREGATOR',
    flags: 'c0',
    good: '0000fde9 0a000009',
    wrong: [0, 4, 6, 7, 9],
    clause: '7606 7.7',
    internal: 'discard',
    external: 'discard',
  },
  {
    type: 7,
    name: 'AGGREGATOR (2-octet AS)',
    flags: 'c0',
    good: 'fde9 0a000009',
    wrong: [0, 5, 7, 8],
    clause: '7606 7.7',
    internal: 'discard',
    external: 'discard',
    isOld: true,
  },
  {
    type: 8,
    name: 'COMMUNITIES',
    flags: 'c0',
    good: '00010002',
    wrong: [0, 3, 5, 7],
    clause: '7606 7.8',
    internal: 'withdraw',
    external: 'withdraw',
  },
  {
    type: 9,
    name: 'ORIGINATOR_ID',
    flags: '80',
    good: '09090909',
    wrong: [0, 3, 5, 8],
    clause: '7606 7.9',
    internal: 'withdraw',
    external: 'discard',
  },
  {
    type: 10,
    name: 'CLUSTER_LIST',
    flags: '80',
    good: '05050505',
    wrong: [0, 3, 5, 7],
    clause: '7606 7.10',
    internal: 'withdraw',
    external: 'discard',
  },
  {
    type: 16,
    name: 'EXTENDED_COMMUNITIES',
    flags: 'c0',
    good: '0002fde900000001',
    wrong: [0, 4, 7, 9, 12],
    clause: '7606 7.14',
    internal: 'withdraw',
    external: 'withdraw',
  },
  {
    type: 18,
    name: 'AS4_AGGREGATOR',
    flags: 'c0',
    good: '00030d40 0a000009',
    wrong: [0, 6, 7, 9],
    clause: '6793 6',
    internal: 'discard',
    external: 'discard',
    isOld: true,
  },
  {
    type: 32,
    name: 'LARGE_COMMUNITIES',
    flags: 'c0',
    good: '000000010000000200000003',
    wrong: [0, 4, 8, 11, 13],
    clause: '8092 6',
    internal: 'withdraw',
    external: 'withdraw',
  },
  {
    type: 35,
    name: 'ONLY_TO_CUSTOMER',
    flags: 'c0',
    good: '0000fde9',
    wrong: [0, 3, 5, 8],
    clause: '9234 5',
    internal: 'withdraw',
    external: 'withdraw',
  },
];

/** From external peers, attributes that are valid only within an AS are discarded, whatever they contain. */
const goodOutcome = ({ type }: Known) => ([5, 9, 10].includes(type) ? 'discard' : 'used');

const lengths: readonly UpdateCase[] = known.flatMap((one) =>
  one.wrong.map((octets) => ({
    what: `${one.name} of ${octets} octets`,
    clause: one.clause,
    internal: one.internal,
    external: one.external,
    attributes: { [one.type]: attribute(one.flags, one.type, zeros(octets)) },
    ...(one.isOld ? { isOld: true } : {}),
  })),
);

const path = '02 01 0000fde9';
const withPath: readonly Known[] = [
  ...known.filter(({ isOld }) => !isOld),
  { type: 2, name: 'AS_PATH', flags: '40', good: path, wrong: [], clause: '', internal: '', external: '' },
];

/** RFC 7606 section 3(c): Optional and Transitive must match the type. The Partial and the low bits do not matter. */
const flags: readonly UpdateCase[] = withPath.flatMap((one) => [
  ...['00', '40', '80', 'c0']
    .filter((wrong) => wrong !== one.flags)
    .map((wrong) =>
      same(`${one.name} with flags 0x${wrong}`, '7606 3(c)', 'withdraw', {
        attributes: { [one.type]: attribute(wrong, one.type, one.good) },
      }),
    ),
  {
    what: `${one.name} with the partial bit and low bits`,
    clause: '4271 4.3',
    internal: 'used',
    external: goodOutcome(one),
    attributes: { [one.type]: attribute(u8(Number.parseInt(one.flags, 16) | 0x2f), one.type, one.good) },
  },
  {
    what: `${one.name} with a length of two octets`,
    clause: '4271 4.3',
    internal: 'used',
    external: goodOutcome(one),
    attributes: {
      [one.type]: attribute(`${u8(Number.parseInt(one.flags, 16) | 0x10)}`, one.type, one.good).replace(
        /^(.. ..) /,
        '$1 00 ',
      ),
    },
  },
]);

/** RFC 7606 section 3(g): the first occurrence counts. */
const duplicates: readonly UpdateCase[] = withPath.map((one) => {
  const first = attribute(one.flags, one.type, one.good);
  return same(`${one.name} twice`, '7606 3(g)', 'discard', {
    attributes: { [one.type]: `${first} ${first}` },
    leaves: { [one.type]: first },
  });
});

const asPath = (value: string, flag = '40') => ({ attributes: { 2: attribute(flag, 2, value) } });
const paths: readonly UpdateCase[] = [
  same('AS_PATH of one octet', '7606 7.2', 'withdraw', asPath('02')),
  same('AS_PATH with one octet left', '7606 7.2', 'withdraw', asPath(`${path} 02`)),
  same('AS_PATH with a segment that overruns its end', '7606 7.2', 'withdraw', asPath('02 02 0000fde9')),
  same(
    'AS_PATH with a segment that ends inside an AS number',
    '7606 7.2',
    'withdraw',
    asPath('02 01 0000fd'),
  ),
  same('AS_PATH with only an empty segment', '7606 7.2', 'withdraw', asPath('02 00')),
  same('AS_PATH with an empty segment at its end', '7606 7.2', 'withdraw', asPath(`${path} 02 00`)),
  same('AS_PATH with a segment of type 0', '7606 7.2', 'withdraw', asPath('00 01 0000fde9')),
  same('AS_PATH with a segment of type 5', '7606 7.2', 'withdraw', asPath('05 01 0000fde9')),
  same('AS_PATH with a segment of type 255', '7606 7.2', 'withdraw', asPath('ff 01 0000fde9')),
  same('AS_PATH with 4-octet AS numbers from a 2-octet peer', '7606 7.2', 'withdraw', {
    ...asPath('02 02 0000fde9 0000fde9'),
    isOld: true,
  }),
  same(
    'AS_PATH of numbers of two octets from a peer of four',
    '7606 7.2',
    'withdraw',
    asPath('02 02 fde9 fde9'),
  ),
  same('AS_PATH with AS 0', '7607 2', 'refused', asPath('02 02 0000fde9 00000000')),
  same('AS_PATH with an AS_SET', '9774 3', 'refused', asPath(`${path} 01 02 00000001 00000002`)),
  same('AS_PATH with a confederation segment', '5065 5', 'refused', asPath(`${path} 03 01 00000001`)),
  same('AS_PATH with our AS', '4271 9.1.2', 'refused', asPath('02 02 0000fde9 0000fc00')),
  {
    what: 'AS_PATH with another AS at its start',
    clause: '4271 6.3',
    internal: 'used',
    external: 'refused',
    ...asPath('02 01 0000fdea'),
  },
  {
    what: 'empty AS_PATH',
    clause: '4271 5.1.2',
    internal: 'used',
    external: 'refused',
    ...asPath(''),
  },
];

const as4 = (value: string, flag = 'c0'): Both => ({
  attributes: { 2: attribute('40', 2, '02 02 fde9 5ba0'), 17: attribute(flag, 17, value) },
  leaves: { 2: attribute('40', 2, '02 02 fde9 5ba0') },
  isOld: true,
});
const transitional: readonly UpdateCase[] = [
  same('AS4_PATH of no octets', '6793 6', 'discard', as4('')),
  same('AS4_PATH of five octets', '6793 6', 'discard', as4('02 01 000100')),
  same('AS4_PATH with a segment that overruns its end', '6793 6', 'discard', as4('02 02 00010000')),
  same('AS4_PATH with an empty segment', '6793 6', 'discard', as4('02 00 02 00 02 00')),
  same('AS4_PATH with a segment of type 9', '6793 6', 'discard', as4('09 01 00010000')),
  same('AS4_PATH with AS 0', '7607 2', 'discard', as4('02 01 00000000')),
  same('AS4_PATH with flags 0x80', '7606 3(c)', 'withdraw', as4('02 01 00010000', '80')),
  same('AS4_PATH with a confederation segment, of which only that is discarded,', '6793 6', 'discard', {
    ...as4('03 01 0000fc01 02 01 00010000'),
    leaves: { 2: attribute('40', 2, '02 02 fde9 5ba0'), 17: attribute('c0', 17, '02 01 00010000') },
  }),
  same('AS4_PATH longer than AS_PATH', '6793 4.2.3', 'used', as4('02 03 00010000 00010001 00010002')),
  same('AS4_PATH from a 4-octet peer', '6793 4.1', 'discard', {
    attributes: { 17: attribute('c0', 17, '02 01 00010000') },
  }),
  same('AS4_AGGREGATOR from a 4-octet peer', '6793 4.1', 'discard', {
    attributes: { 18: attribute('c0', 18, '00010000 0a000009') },
  }),
  same('AS4_AGGREGATOR with AS 0', '7607 2', 'discard', {
    attributes: { 7: attribute('c0', 7, '5ba0 0a000009'), 18: attribute('c0', 18, '00000000 0a000009') },
    leaves: { 7: attribute('c0', 7, '5ba0 0a000009') },
    isOld: true,
  }),
  same('AGGREGATOR with AS 0', '7607 2', 'discard', {
    attributes: { 7: attribute('c0', 7, '00000000 0a000009') },
  }),
  same('AGGREGATOR with AS 0 from a 2-octet peer', '7607 2', 'discard', {
    attributes: { 7: attribute('c0', 7, '0000 0a000009') },
    isOld: true,
  }),
];

const values: readonly UpdateCase[] = [
  same('ORIGIN 3', '7606 7.1', 'withdraw', { attributes: { 1: '40 01 01 03' } }),
  same('ORIGIN 255', '7606 7.1', 'withdraw', { attributes: { 1: '40 01 01 ff' } }),
  same('NEXT_HOP 0.0.0.0', '4271 6.3', 'refused', { attributes: { 3: '40 03 04 00000000' } }),
  same('NEXT_HOP 127.0.0.1', '4271 6.3', 'refused', { attributes: { 3: '40 03 04 7f000001' } }),
  same('NEXT_HOP 224.0.0.1', '4271 6.3', 'refused', { attributes: { 3: '40 03 04 e0000001' } }),
  same('NEXT_HOP 255.255.255.255', '4271 6.3', 'refused', { attributes: { 3: '40 03 04 ffffffff' } }),
  same('NEXT_HOP that is this speaker', '4271 5.1.3', 'refused', { attributes: { 3: '40 03 04 0a0a0a0a' } }),
  {
    what: 'ORIGINATOR_ID that is this speaker',
    clause: '4456 8',
    internal: 'refused',
    external: 'discard',
    attributes: { 9: '80 09 04 00000001' },
  },
  {
    what: 'CLUSTER_LIST with this cluster',
    clause: '4456 8',
    internal: 'refused',
    external: 'discard',
    attributes: { 10: '80 0a 08 05050505 00000001' },
  },
];

/** RFC 8092 section 3. */
const large = (values: readonly number[]) => {
  const octets = u16(values.length * 12);
  return `d0 20 ${octets} ${values.map((value) => `0000fde9 00000000 ${u32(value)}`).join(' ')}`;
};
const repeats: readonly UpdateCase[] = [
  same('LARGE_COMMUNITIES with a value twice', '8092 3', 'used', {
    attributes: { 32: large([7, 8, 7]) },
    leaves: { 32: large([7, 8]) },
  }),
  same('40 LARGE_COMMUNITIES, half of them twice', '8092 3', 'used', {
    attributes: { 32: large(Array.from({ length: 60 }, (_, index) => index % 40)) },
    leaves: { 32: large(Array.from({ length: 40 }, (_, index) => index)) },
  }),
];

const missing: readonly UpdateCase[] = [
  same('no ORIGIN', '7606 3(d)', 'withdraw', { attributes: { 1: undefined } }),
  same('no AS_PATH', '7606 3(d)', 'withdraw', { attributes: { 2: undefined } }),
  same('no NEXT_HOP', '7606 3(d)', 'withdraw', { attributes: { 3: undefined } }),
  {
    what: 'no LOCAL_PREF',
    clause: '7606 3(d)',
    internal: 'withdraw',
    external: 'used',
    attributes: { 5: undefined },
  },
  same('no attributes at all', '7606 3(d)', 'withdraw', {
    attributes: { 1: undefined, 2: undefined, 3: undefined, 5: undefined },
  }),
  same('no ORIGIN with MP_REACH_NLRI', '7606 3(d)', 'withdraw', {
    attributes: { 1: undefined },
    form: 'multiprotocol',
  }),
  same('no AS_PATH with MP_REACH_NLRI', '7606 3(d)', 'withdraw', {
    attributes: { 2: undefined },
    form: 'multiprotocol',
  }),
  same('no NEXT_HOP with MP_REACH_NLRI', '4760 3', 'used', {
    attributes: { 3: undefined },
    form: 'multiprotocol',
  }),
  {
    what: 'no LOCAL_PREF with MP_REACH_NLRI',
    clause: '7606 3(d)',
    internal: 'withdraw',
    external: 'used',
    attributes: { 5: undefined },
    form: 'multiprotocol',
  },
];

const unknownAttributes: readonly UpdateCase[] = [
  same('an unknown well-known attribute', '4271 6.3', 'reset 3/2', { attributes: { 99: '40 63 01 07' } }),
  same('an unknown attribute with flags 0x00', '4271 6.3', 'reset 3/2', {
    attributes: { 99: '00 63 01 07' },
  }),
  same('an unknown optional attribute', '4271 5', 'used', { attributes: { 99: '80 63 01 07' }, leaves: {} }),
  same('an unknown optional transitive attribute', '4271 5', 'used', {
    attributes: { 99: 'c0 63 01 07' },
    leaves: { 99: 'e0 63 01 07' },
  }),
  same('an unknown optional transitive attribute twice', '7606 3(g)', 'discard', {
    attributes: { 99: 'c0 63 01 07 c0 63 01 08' },
    leaves: { 99: 'e0 63 01 07' },
  }),
];

const framing: readonly UpdateCase[] = [
  same('one octet instead of an attribute', '7606 4', 'withdraw', { attributes: { 256: 'c0' } }),
  same('two octets instead of an attribute', '7606 4', 'withdraw', { attributes: { 256: 'c0 63' } }),
  same('three octets of a 4-octet attribute header', '7606 4', 'withdraw', {
    attributes: { 256: 'd0 63 00' },
  }),
  same('an attribute that overruns the list', '7606 4', 'withdraw', { attributes: { 256: 'c0 63 05 00' } }),
  same('a long attribute that overruns the list', '7606 4', 'withdraw', {
    attributes: { 256: 'd0 63 ffff 00' },
  }),
  same('ORIGIN that overruns the list', '7606 4', 'withdraw', {
    attributes: { 1: undefined, 256: '40 01 20 00' },
  }),
  same('an attribute that overruns the list, with MP_REACH_NLRI,', '7606 4', 'withdraw', {
    attributes: { 256: 'c0 63 05 00' },
    form: 'multiprotocol',
  }),
  same('a prefix of 33 bits', '7606 5.3', 'reset 3/10', { nlri: '21 0a00000000' }),
  same('a truncated prefix', '7606 5.3', 'reset 3/10', { nlri: '18 0a00' }),
  same('a withdrawn prefix of 33 bits', '7606 5.3', 'reset 3/10', { withdrawn: '21 0a00000000' }),
  same('a truncated withdrawn prefix', '7606 5.3', 'reset 3/10', { withdrawn: '18 0a00' }),
];

/** RFC 7911 section 3. */
const identified: readonly UpdateCase[] = [
  same('a path identifier and a prefix', '7911 3', 'used', { hasAddPath: true, nlri: '00000000 08 0a' }),
  same('a truncated path identifier', '7606 5.3', 'reset 3/10', {
    hasAddPath: true,
    nlri: '00000000 08 0a 000000',
  }),
  same('a path identifier without a prefix', '7606 5.3', 'reset 3/10', {
    hasAddPath: true,
    nlri: '00000000',
  }),
  same('a prefix of 33 bits after its identifier', '7606 5.3', 'reset 3/10', {
    hasAddPath: true,
    nlri: '00000000 21 0a00000000',
  }),
  same('a withdrawn path identifier without a prefix', '7606 5.3', 'reset 3/10', {
    hasAddPath: true,
    nlri: '00000000 08 0a',
    withdrawn: '00000000',
  }),
];

const NEXT_HOP6 = `20010db8${zeros(11)}32`;
const PREFIX6 = '20 20010db8';
const reach = (value: string, flag = '80'): Both => ({
  attributes: { 14: attribute(flag, 14, value) },
  form: 'multiprotocol',
});
const goodReach = `0002 01 10 ${NEXT_HOP6} 00 ${PREFIX6}`;
const twice = attribute('80', 14, goodReach);
const multiprotocol: readonly UpdateCase[] = [
  ...['00', '40', 'c0'].map((wrong) =>
    same(`MP_REACH_NLRI with flags 0x${wrong}`, '7606 3(c)', 'withdraw', reach(goodReach, wrong)),
  ),
  same('MP_REACH_NLRI with the partial bit', '4271 4.3', 'used', reach(goodReach, 'a0')),
  same('MP_REACH_NLRI twice', '7606 3(g)', 'reset 3/1', {
    attributes: { 14: `${twice} ${twice}` },
    form: 'multiprotocol',
  }),
  ...[0, 2, 4].map((octets) =>
    same(
      `MP_REACH_NLRI of ${octets} octets`,
      '7606 7.11',
      'reset 3/9',
      reach('00020110'.slice(0, octets * 2)),
    ),
  ),
  ...[0, 4, 8, 15, 17, 24, 31, 33, 48].map((octets) =>
    same(
      `a next hop of ${octets} octets for IPv6`,
      '7606 7.11',
      'reset 3/9',
      reach(`0002 01 ${u8(octets)} ${'20'.repeat(octets)} 00 ${PREFIX6}`),
    ),
  ),
  ...[0, 3, 5, 8].map((octets) =>
    same(
      `a next hop of ${octets} octets for IPv4`,
      '7606 7.11',
      'reset 3/9',
      reach(`0001 01 ${u8(octets)} ${'0a'.repeat(octets)} 00 08 0a`),
    ),
  ),
  same('an IPv6 next hop for IPv4', '8950 3', 'used', {
    attributes: { 14: attribute('80', 14, `0001 01 10 ${NEXT_HOP6} 00 08 0a`) },
    form: 'multiprotocol',
    isAboutIpv4: true,
  }),
  same('an IPv6 next hop for IPv4 that was not negotiated', '7606 7.11', 'reset 3/9', {
    ...reach(`0001 01 10 ${NEXT_HOP6} 00 08 0a`),
    hasExtendedNextHop: false,
  }),
  same('a next hop that overruns MP_REACH_NLRI', '7606 7.11', 'reset 3/9', reach('0002 01 20 20010db8 00')),
  same(
    'MP_REACH_NLRI without its reserved octet',
    '7606 7.11',
    'reset 3/9',
    reach(`0002 01 10 ${NEXT_HOP6}`),
  ),
  same(
    'MP_REACH_NLRI with a reserved octet of 255',
    '4760 3',
    'used',
    reach(`0002 01 10 ${NEXT_HOP6} ff ${PREFIX6}`),
  ),
  same(
    'MP_REACH_NLRI with a prefix of 129 bits',
    '7606 5.3',
    'reset 3/9',
    reach(`0002 01 10 ${NEXT_HOP6} 00 81 ${zeros(17)}`),
  ),
  same(
    'MP_REACH_NLRI with a prefix that is cut short',
    '7606 5.3',
    'reset 3/9',
    reach(`0002 01 10 ${NEXT_HOP6} 00 20 20010d`),
  ),
  same(
    'MP_REACH_NLRI with next hop ::',
    '4271 6.3',
    'refused',
    reach(`0002 01 10 ${zeros(16)} 00 ${PREFIX6}`),
  ),
  same(
    'MP_REACH_NLRI with next hop ::1',
    '4271 6.3',
    'refused',
    reach(`0002 01 10 ${zeros(15)}01 00 ${PREFIX6}`),
  ),
  same(
    'MP_REACH_NLRI with next hop ff02::1',
    '4271 6.3',
    'refused',
    reach(`0002 01 10 ff02${zeros(13)}01 00 ${PREFIX6}`),
  ),
  ...['00', '40', 'c0'].map((wrong) =>
    same(`MP_UNREACH_NLRI with flags 0x${wrong} and nothing else`, '7606 3(c)', 'withdraw', {
      attributes: { 15: attribute(wrong, 15, `0002 01 ${PREFIX6}`) },
      form: 'nothing',
    }),
  ),
  same('MP_UNREACH_NLRI with flags 0xc0 and a route', '7606 3(c)', 'withdraw', {
    attributes: { 15: attribute('c0', 15, `0002 01 ${PREFIX6}`) },
  }),
  same('MP_UNREACH_NLRI twice', '7606 3(g)', 'reset 3/1', {
    attributes: { 15: `${attribute('80', 15, '0002 01')} ${attribute('80', 15, '0002 01')}` },
  }),
  ...[0, 1, 2].map((octets) =>
    same(`MP_UNREACH_NLRI of ${octets} octets`, '7606 7.12', 'reset 3/9', {
      attributes: { 15: attribute('80', 15, '0002'.slice(0, octets * 2)) },
      form: 'nothing',
    }),
  ),
  same('MP_UNREACH_NLRI with a prefix of 129 bits', '7606 5.3', 'reset 3/9', {
    attributes: { 15: attribute('80', 15, `0002 01 81 ${zeros(17)}`) },
    form: 'nothing',
  }),
  same('MP_UNREACH_NLRI with a truncated prefix', '7606 5.3', 'reset 3/9', {
    attributes: { 15: attribute('80', 15, '0002 01 20 20') },
    form: 'nothing',
  }),
  ...known
    .filter(({ isOld, type }) => !isOld && type !== 3)
    .map((one) => ({
      what: `${one.name} of ${one.wrong.at(-1)} octets with MP_REACH_NLRI`,
      clause: one.clause,
      internal: one.internal,
      external: one.external,
      attributes: { [one.type]: attribute(one.flags, one.type, zeros(one.wrong.at(-1)!)) },
      form: 'multiprotocol' as const,
    })),
];

/** RFC 7606 section 5.2: without NLRI the affected routes are unknown, so only a session reset can remove them. */
const nothing = (attributes: UpdateCase['attributes'] & object): Both => ({
  attributes,
  form: 'nothing',
  withdrawn: '08 0a 20 0b0b0b0b',
});
const withoutNlri: readonly UpdateCase[] = [
  same('ORIGIN 3 and no advertised route', '7606 5.2', 'reset 3/6', nothing({ 1: '40 01 01 03' })),
  same('flags of ORIGIN and no advertised route', '7606 5.2', 'reset 3/4', nothing({ 1: 'c0 01 01 00' })),
  same(
    'a short MULTI_EXIT_DISC and no advertised route',
    '7606 5.2',
    'reset 3/5',
    nothing({ 4: '80 04 02 0000' }),
  ),
  same(
    'a malformed AS_PATH and no advertised route',
    '7606 5.2',
    'reset 3/11',
    nothing({ 2: '40 02 02 02 00' }),
  ),
  same(
    'ORIGIN that overruns the list, and no advertised route',
    '7606 5.2',
    'reset 3/1',
    nothing({ 256: '40 01 20 00' }),
  ),
  same('only a truncated header', '7606 5.2', 'reset 3/1', {
    attributes: { 256: '40' },
    form: 'nothing',
  }),
  same('malformed COMMUNITIES with only MP_UNREACH_NLRI', '7606 5.2', 'reset 3/5', {
    attributes: { 8: 'c0 08 03 000000', 15: attribute('80', 15, `0002 01 ${PREFIX6}`) },
    form: 'nothing',
  }),
  same('malformed COMMUNITIES with an MP_REACH_NLRI without prefixes', '7606 5.2', 'reset 3/5', {
    attributes: { 8: 'c0 08 03 000000', 14: attribute('80', 14, `0002 01 10 ${NEXT_HOP6} 00`) },
    form: 'nothing',
  }),
  same(
    'a malformed AGGREGATOR and no advertised route',
    '7606 5.2',
    'withdraw',
    nothing({ 7: 'c0 07 03 000000' }),
  ),
  same(
    'attributes without NEXT_HOP in an UPDATE that withdraws',
    '4271 4.3',
    'withdraw',
    nothing({ 1: '40 01 01 00', 2: '40 02 00' }),
  ),
  same('only ORIGIN in an UPDATE that withdraws', '4271 4.3', 'withdraw', nothing({ 1: '40 01 01 00' })),
];

/** RFC 7606 section 3(h): the strongest of several actions applies. */
const several: readonly UpdateCase[] = [
  same('a discard and a withdrawal', '7606 3(h)', 'withdraw', {
    attributes: { 1: '40 01 01 09', 7: 'c0 07 01 00' },
  }),
  same('a withdrawal and a reset', '7606 3(h)', 'reset 3/2', {
    attributes: { 1: '40 01 01 09', 99: '40 63 00' },
  }),
  same('a withdrawal and an applied MP_UNREACH_NLRI', '7606 2', 'withdraw', {
    attributes: { 1: '40 01 01 09', 15: attribute('80', 15, `0002 01 ${PREFIX6}`) },
  }),
  same('faults of IPv4 and IPv6 in one UPDATE', '7606 2', 'withdraw', {
    attributes: { 1: '40 01 01 09', 14: attribute('80', 14, goodReach) },
  }),
];

export const updateCases: readonly UpdateCase[] = [
  ...lengths,
  ...flags,
  ...duplicates,
  ...paths,
  ...transitional,
  ...values,
  ...repeats,
  ...missing,
  ...unknownAttributes,
  ...framing,
  ...identified,
  ...multiprotocol,
  ...withoutNlri,
  ...several,
];
