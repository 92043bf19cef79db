/** UPDATEs that are unusual, or malformed without ending the session (RFC 7606), and a client that sends them. */

const hex = (value: number, octets: number) => value.toString(16).padStart(octets * 2, '0');
const octetsOf = (text: string) => text.length / 2;

function attribute(flags: number, type: number, value: string): string {
  const length = octetsOf(value);
  return length > 255 || flags & 0x10
    ? hex(flags | 0x10, 1) + hex(type, 1) + hex(length, 2) + value
    : hex(flags, 1) + hex(type, 1) + hex(length, 1) + value;
}

function message(type: number, body: string): string {
  return 'ff'.repeat(16) + hex(19 + octetsOf(body), 2) + hex(type, 1) + body;
}

function update(attributes: readonly string[], routes = '', withdrawn = ''): string {
  const list = attributes.join('');
  return message(2, hex(octetsOf(withdrawn), 2) + withdrawn + hex(octetsOf(list), 2) + list + routes);
}

const NEXT_HOP = '0a4d0003';
const GLOBAL6 = `fd77${'00'.repeat(12)}0003`;
const LINK_LOCAL = 'fe80000000000000007700fffe000003';
const origin = attribute(0x40, 1, '00');
const path = (value: string) => attribute(0x40, 2, value);
const emptyPath = path('');
const nextHop = attribute(0x40, 3, NEXT_HOP);
const localPref = attribute(0x40, 5, '00000064');
const standard = [origin, emptyPath, nextHop, localPref];
/** 172.31.n.0/24. */
const net = (n: number) => `18ac1f${hex(n, 1)}`;
/** fd31:n::/32. */
const net6 = (n: number) => `20fd31${hex(n, 2)}`;
const reach6 = (value: string, n: number) =>
  attribute(0x80, 14, `000201${hex(octetsOf(value), 1)}${value}00${net6(n)}`);
const sequence = (type: number, ...numbers: number[]) =>
  hex(type, 1) + hex(numbers.length, 1) + numbers.map((number) => hex(number, 4)).join('');
const many = (count: number, of: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => of(i)).join('');
const extra = (...attributes: string[]) => [...standard, ...attributes];
const withPath = (value: string) => [origin, path(value), nextHop, localPref];
const six = (...attributes: string[]) => [origin, emptyPath, localPref, ...attributes];

/** The UPDATEs, keyed by what is odd about them. */
export const oddUpdates: Readonly<Record<string, string>> = {
  'link-local next hop': update(six(reach6(LINK_LOCAL, 1))),
  'unspecified and link-local next hop, as BIRD sends it': update(
    six(reach6('00'.repeat(16) + LINK_LOCAL, 2)),
  ),
  'link-local next hop in both halves': update(six(reach6(LINK_LOCAL + LINK_LOCAL, 3))),
  'global and link-local next hop': update(six(reach6(GLOBAL6 + LINK_LOCAL, 4))),
  'IPv4-mapped next hop': update(six(reach6(`${'00'.repeat(10)}ffff${NEXT_HOP}`, 5))),
  'multicast next hop': update(six(reach6(`ff02${'00'.repeat(13)}01`, 6))),
  'IPv6 next hop of an IPv4 route': update(six(attribute(0x80, 14, `00010110${GLOBAL6}00${net(7)}`))),
  'IPv4 and IPv6 routes in one UPDATE': update(extra(reach6(GLOBAL6, 8)), net(8)),
  'MP_REACH_NLRI without routes': update(six(attribute(0x80, 14, `00020110${GLOBAL6}00`))),
  'partial bit of ORIGIN': update([attribute(0x60, 1, '00'), emptyPath, nextHop, localPref], net(10)),
  'unused flag bits': update([attribute(0x4f, 1, '00'), attribute(0x4f, 2, ''), nextHop, localPref], net(11)),
  'extended length of short attributes': update(
    [
      attribute(0x50, 1, '00'),
      attribute(0x50, 2, ''),
      attribute(0x50, 3, NEXT_HOP),
      attribute(0x50, 5, '00000064'),
    ],
    net(12),
  ),
  'MED as transitive': update(extra(attribute(0xc0, 4, '00000001')), net(13)),
  'attributes that fit into no message of 4,096 octets': update(
    extra(
      attribute(
        0xc0,
        8,
        many(1100, (i) => hex(i + 1, 4)),
      ),
    ),
    net(14),
  ),
  'attributes that just fit': update(
    extra(
      attribute(
        0xc0,
        8,
        many(990, (i) => hex(i + 1, 4)),
      ),
    ),
    net(15),
  ),
  'unknown transitive attribute': update(extra(attribute(0xc0, 99, '0102')), net(16)),
  'unknown transitive attribute with the partial bit': update(
    extra(attribute(0xe0, 100, 'aa'.repeat(300))),
    net(17),
  ),
  'unknown non-transitive attribute': update(extra(attribute(0x80, 98, '0102')), net(18)),
  'empty unknown attribute': update(extra(attribute(0xc0, 97, '')), net(19)),
  'non-transitive extended community': update(extra(attribute(0xc0, 16, '4006000012345678')), net(20)),
  'experimental and huge extended communities': update(
    extra(
      attribute(
        0xc0,
        16,
        many(200, (i) => `80ff${hex(i, 6)}`),
      ),
    ),
    net(21),
  ),
  'huge large communities': update(
    extra(
      attribute(
        0xc0,
        32,
        many(200, (i) => hex(i, 4).repeat(3)),
      ),
    ),
    net(22),
  ),
  'the same communities twice': update(
    extra(attribute(0xc0, 8, 'ffffff04ffffff04'), attribute(0xc0, 32, '000000010000000200000003'.repeat(2))),
    net(23),
  ),
  AS_SET: update(withPath(sequence(2, 65010) + sequence(1, 65011, 65012)), net(24)),
  'AS_SET alone': update(withPath(sequence(1, 65011)), net(25)),
  'confederation segments': update(
    withPath(sequence(3, 65020) + sequence(4, 65021) + sequence(2, 65022)),
    net(26),
  ),
  'segment of no length': update(withPath('0200'), net(27)),
  'segment of unknown type': update(withPath(sequence(9, 65010)), net(28)),
  'path of 300 AS numbers': update(
    withPath(sequence(2, ...Array<number>(255).fill(65030)) + sequence(2, ...Array<number>(45).fill(65031))),
    net(29),
  ),
  'AS 0 in the path': update(withPath(sequence(2, 0)), net(30)),
  'AS_TRANS and the last AS number in the path': update(withPath(sequence(2, 23456, 4294967295)), net(31)),
  'AS4_PATH and AS4_AGGREGATOR on a session with 4 octets': update(
    extra(attribute(0xc0, 17, sequence(2, 65040)), attribute(0xc0, 18, '0000fe00c0000201')),
    net(32),
  ),
  'AGGREGATOR with AS 0': update(extra(attribute(0xc0, 7, '00000000c0000201')), net(33)),
  'AGGREGATOR of a wrong length': update(extra(attribute(0xc0, 7, 'fe00c0000201')), net(34)),
  'ATOMIC_AGGREGATE with a value': update(extra(attribute(0x40, 6, '01')), net(35)),
  'CLUSTER_LIST of 60 entries': update(
    extra(
      attribute(0x80, 9, 'c0000209'),
      attribute(
        0x80,
        10,
        many(60, (i) => hex(0xc0000300 + i, 4)),
      ),
    ),
    net(36),
  ),
  'CLUSTER_LIST of a wrong length': update(
    extra(attribute(0x80, 9, 'c0000209'), attribute(0x80, 10, '010203')),
    net(37),
  ),
  'highest LOCAL_PREF and MED': update(
    [origin, emptyPath, nextHop, attribute(0x80, 4, 'ffffffff'), attribute(0x40, 5, 'ffffffff')],
    net(38),
  ),
  'no LOCAL_PREF': update([origin, emptyPath, nextHop], net(39)),
  'ORIGIN twice': update([origin, origin, emptyPath, nextHop, localPref], net(40)),
  'attributes in reverse order': update([localPref, nextHop, emptyPath, origin], net(41)),
  'PMSI tunnel, tunnel encapsulation, AIGP, prefix SID, ATTR_SET': update(
    extra(
      attribute(0xc0, 22, '0000000000'),
      attribute(0xc0, 23, '0008000a0408030b000000000064'),
      attribute(0x80, 26, '01000b0000000000000001'),
      attribute(0xc0, 40, '01000700000000000064'),
      attribute(0xc0, 128, '0000fe0040010100400200'),
    ),
    net(42),
  ),
  'OTC from an internal peer': update(extra(attribute(0xc0, 35, '0000fdea')), net(43)),
  'empty communities': update(extra(attribute(0xc0, 8, '')), net(44)),
  'host bits after the prefix': update(standard, '19ac1f2dff'),
  'class E, multicast and loopback': update(standard, '04f004e0087f'),
  'own addresses of peers': update(standard, '200a4d0001200a4d0002'),
  'withdrawn and announced at once': update(standard, net(46), net(46)),
  'default routes': update(extra(attribute(0x80, 14, `00020110${GLOBAL6}0000`)), '00'),
};

/** A normal route that is sent after all of them. */
export const lastOdd = '172.31.255.0';
const last = update(standard, net(255));

/** Returns a Node program: an internal client of `reflector` at `address` that sends them all and stays connected. */
export function oddClient(reflector: string, address: string): string {
  const capabilities = [
    '010400010001',
    '010400020001',
    '0200',
    '0506000100010002',
    '0600',
    `4104${hex(64512, 4)}`,
  ].join('');
  const parameters = `02${hex(octetsOf(capabilities), 1)}${capabilities}`;
  const open = message(1, `04${hex(64512, 2)}005a${NEXT_HOP}${hex(octetsOf(parameters), 1)}${parameters}`);
  const keepalive = message(4, '');
  const updates = [...Object.values(oddUpdates), last];
  return `
const net = require('node:net');
const bytes = (text) => Buffer.from(text, 'hex');
function connect() {
  const socket = net.connect({ host: '${reflector}', port: 179, localAddress: '${address}' });
  let timer;
  socket.on('error', () => {});
  socket.on('connect', () => socket.write(bytes('${open}${keepalive}')));
  socket.once('data', () => {
    for (const update of ${JSON.stringify(updates)}) socket.write(bytes(update));
    timer = setInterval(() => socket.write(bytes('${keepalive}')), 5000);
  });
  socket.on('close', () => { clearInterval(timer); setTimeout(connect, 500); });
}
connect();
`;
}
