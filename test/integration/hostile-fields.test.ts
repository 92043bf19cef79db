import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cell, columnsOf } from '../../calictl/columns.ts';
import { resolved } from '../../controllers/peer-status.ts';
import { describeProblem } from '../../datastore/object-problem.ts';
import { readObject } from '../../datastore/read-object.ts';
import { registry } from '../../datastore/registry.ts';
import type { Existing } from '../../datastore/schema/resource.ts';
import { describeInvalid, validateResource } from '../../datastore/validate.ts';
import { audit } from '../../ipam/audit.ts';
import { allocationsOf } from '../../ipam/block.ts';
import { choosePools, freeBlocks } from '../../ipam/candidates.ts';
import { problemsOf } from '../../ipam/problems.ts';
import { canonicalCidr, formatAddress, parseAddress } from '../../lib/cidr.ts';
import { forTerminal, isPlain } from '../../lib/plain-text.ts';
import { plainTable } from '../../lib/table.ts';
import { nodeInfo } from '../../model/node.ts';
import { anyText } from '../helpers/any-text.ts';
import { baseObjects, calculate, kindOf, type Outcome, readAll, readsOf } from '../helpers/hostile-world.ts';
import { textPaths, withText } from '../helpers/text-paths.ts';

/** What people who may write one field of one object try. */
const hostile = [
  'x\nnetns add x\nnetns exec x sh -c "id >/tmp/f"',
  '66:00:00:00:00:01 dev lo nud permanent',
  '10.0.0.1\nlink del eth0',
  '"; drop; #',
  `'"\`\\`,
  '; id',
  '$(id)',
  '`id`',
  'a\0b',
  '\u001b[2J\u009b2J',
  'a\u202eb\u2066c',
  '\u2028',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '😀',
  '\ud83d',
  '',
  ' ',
  '..',
  '../../etc/passwd',
  '%s%n',
  '-1',
  '1e999',
  'FD00::A',
  '::ffff:10.0.0.1',
  '0.0.0.0/0',
  '127.0.0.1',
  'ff02::1',
  '255.255.255.255/32',
  `${'('.repeat(5000)}all()`,
  '(a+)+$',
];

const V4 = String.raw`(?:\d{1,3}\.){3}\d{1,3}`;
const V6 = '[0-9a-f:]*:[0-9a-f:]*';
const ADDRESS = `(?:${V4}|${V6})`;
const NET = String.raw`${ADDRESS}/\d{1,3}`;
const MAC = '(?:[0-9a-f]{2}:){5}[0-9a-f]{2}';
const DEVICE = String.raw`(?:eth0|tunl0|vxlan\.cali|vxlan-v6\.cali|cali[0-9a-f]{11})`;
const HOP = `(?:via (?:inet6 )?${ADDRESS} )?dev ${DEVICE}(?: onlink)?`;
const TAIL = String.raw`proto \d+(?: metric \d+)?(?: src ${ADDRESS})?`;

/** Every command that felix may give to `ip -batch`. */
const ipCommands = [
  `route (?:add|replace|del) blackhole ${NET} ${TAIL}`,
  `route del ${NET} ${TAIL}`,
  `route (?:add|replace) ${NET} ${HOP}(?: scope link)? ${TAIL}`,
  `route (?:add|replace) ${NET} ${TAIL}(?: nexthop ${HOP})+`,
  `neigh replace ${ADDRESS} lladdr ${MAC} dev ${DEVICE} nud permanent`,
  `neigh del ${ADDRESS} dev ${DEVICE}`,
  `address (?:add|del) ${NET} dev ${DEVICE}(?: scope link| nodad preferred_lft 0)?`,
  `link add name ${DEVICE} type ipip`,
  String.raw`link add name ${DEVICE} address ${MAC} mtu \d+ type vxlan id \d+ dstport \d+ local ${ADDRESS} nolearning`,
  String.raw`link set dev ${DEVICE} (?:up|mtu \d+|address ${MAC})`,
  `link del dev ${DEVICE}`,
].map((form) => new RegExp(`^${form}$`));
const bridgeCommands = [
  new RegExp(`^fdb (?:replace|del) ${MAC} dev ${DEVICE} dst ${ADDRESS} self(?: permanent)?$`),
];

/** A line of the table without its values: addresses, numbers, names of interfaces, and how many elements a set has. */
function shapeOf(line: string): string {
  return line
    .replace(/"[a-zA-Z0-9_.+*-]{1,16}"/g, 'IF')
    .replace(new RegExp(`${V4}(?:/\\d{1,2})?`, 'g'), 'NET')
    .replace(/(?<![\w@])[0-9a-f]*:[0-9a-f:]*:[0-9a-f:]*(?:\/\d{1,3})?(?!\w)/g, 'NET')
    .replace(/\b\d+(?:-\d+)?\b/g, 'N')
    .replace(/elements = \{ [A-Za-z.\s,]* \};/, 'ELEMENTS')
    .replace(/ ELEMENTS/, '');
}

/** The object without one field of its spec, for each of them. */
function withoutFields(object: object): object[] {
  const spec: unknown = 'spec' in object ? object.spec : undefined;
  if (typeof spec !== 'object' || spec === null) return [];
  return Object.keys(spec).map((key) => ({
    ...object,
    spec: Object.fromEntries(Object.entries(spec).filter(([name]) => name !== key)),
  }));
}

const base = calculate(baseObjects);
/** Also of clusters in which an object or a field is missing, because it cannot be read. */
const shapes = new Set(
  [
    base,
    ...baseObjects.map((_, index) => calculate(baseObjects.toSpliced(index, 1))),
    ...baseObjects.flatMap((object, index) =>
      withoutFields(object).map((less) => calculate(baseObjects.with(index, less))),
    ),
  ]
    .flatMap(({ nft }) => [...nft.whole, ...nft.guard])
    .map(shapeOf),
);

const remembered = new Map<string, boolean>();

/** Whether a line of the table has the form of one of the base's; most lines of most outcomes are the same. */
function isIntended(line: string): boolean {
  let known = remembered.get(line);
  if (known === undefined) {
    known = isPlain(line) && shapes.has(shapeOf(line));
    remembered.set(line, known);
  }
  return known;
}

/** What of an outcome is not as intended; empty when all of it is. */
function faultsOf({ ip, bridge, nft, speaker }: Outcome): string[] {
  const isOne = (forms: readonly RegExp[], text: string) => forms.some((form) => form.test(text));
  const isCanonical = (text: string) => {
    const [plain, zone] = text.split('%');
    const parsed = parseAddress(plain!);
    return (
      parsed !== undefined &&
      formatAddress(parsed) === plain &&
      (zone === undefined || /^[\w.-]{1,15}$/.test(zone))
    );
  };
  return [
    ...ip.filter((command) => !isOne(ipCommands, command)),
    ...bridge.filter((command) => !isOne(bridgeCommands, command)),
    ...[...nft.whole, ...nft.guard].filter((line) => !isIntended(line)),
    ...speaker.originated.map(({ prefix }) => prefix).filter((prefix) => canonicalCidr(prefix) !== prefix),
    ...speaker.peers.filter(({ address }) => !isCanonical(address)).map(({ address }) => `peer ${address}`),
    ...speaker.peers
      .filter(({ localAddress }) => localAddress !== undefined && !isCanonical(localAddress))
      .map(({ localAddress }) => `local address ${localAddress}`),
    ...speaker.peers
      .filter(({ port, asNumber }) => !(port > 0 && port < 65536 && asNumber > 0 && asNumber <= 4294967295))
      .map(({ name }) => `numbers of ${name}`),
    ...speaker.peers
      .filter(({ clusterId }) => clusterId !== undefined && parseAddress(clusterId)?.family !== 4)
      .map(({ clusterId }) => `cluster ID ${clusterId}`),
  ];
}

/** What else is calculated from objects: IPAM, audits, statuses and tables. Faults of what people read. */
function faultsOfReading(raw: readonly object[]): string[] {
  const objects = readAll(raw);
  const of = (kind: string) => objects.filter((one) => one.kind === kind) as never[];
  const snapshot = {
    pools: of('IPPool'),
    blocks: of('IPAMBlock'),
    affinities: of('BlockAffinity'),
    handles: of('IPAMHandle'),
    nodes: of('Node'),
    pods: of('Pod'),
  };
  audit(snapshot);
  problemsOf(snapshot);
  const faults: string[] = [];
  for (const { spec } of snapshot.blocks as { spec: Parameters<typeof allocationsOf>[0] }[])
    for (const { address } of allocationsOf(spec))
      if (!parseAddress(address)) faults.push(`allocation ${address}`);
  for (const family of [4, 6] as const) {
    const choice = choosePools(snapshot.pools, {
      family,
      use: 'Workload',
      nodeLabels: {},
      namespaceLabels: {},
    });
    if (!choice.ok) continue;
    for (const pool of choice.pools)
      for (const cidr of freeBlocks(pool, 'n1', () => false)) {
        if (canonicalCidr(cidr) !== cidr) faults.push(`block ${cidr}`);
        break;
      }
  }
  for (const peer of of('BGPPeer'))
    resolved(peer, { nodes: of('Node').map(nodeInfo), reflectors: [], filters: new Set() });
  for (const one of objects) {
    const columns = columnsOf(one.kind, true);
    const cells = columns.map((column) => cell(one, column, { defaultAsNumber: 64512 }));
    const table = plainTable(
      columns.map(([name]) => name),
      [cells],
    );
    if (forTerminal(table) !== table || table.split('\n').length !== 2) faults.push(`table of ${one.kind}`);
  }
  return faults;
}

const faultsOfAll = (raw: readonly object[]) => [...faultsOf(calculate(raw)), ...faultsOfReading(raw)];

const megabyte = 'x'.repeat(1 << 20);
const long = 'x'.repeat(1 << 14);
const nothing: Existing = { list: () => [] };

/** The object with hostile text at each of its places, one after the other. */
const cases = registry.flatMap((definition) => {
  const paths = textPaths(definition);
  return baseObjects
    .map((object, index) => ({ object, index }))
    .filter(({ object }) => kindOf(object) === definition)
    .map((one) => ({ ...one, kind: definition.kind, definition, paths }));
});

describe('hostile text in a field of an object', () => {
  it('is tested on a cluster whose commands all have an intended form', () => {
    expect(faultsOf(base)).toEqual([]);
    expect(base.ip.length).toBeGreaterThan(15);
    expect(base.bridge.length).toBeGreaterThan(3);
    expect(base.speaker.peers.length).toBeGreaterThan(5);
    expect(new Set(cases.map(({ kind }) => kind)).size).toBe(registry.length);
  });

  it.each(cases)(
    'of $kind ($index) is refused or read as a value, and never becomes another command, rule or path',
    ({ object, index, definition, paths }) => {
      expect(paths.length).toBeGreaterThan(4);
      const reads = readsOf(index, faultsOfAll);
      const [former] = readAll([object]);
      // Most texts are refused, and what is left of the object is the same then. Few fields are read.
      const seen = new Set<string>();
      for (const [at, path] of paths.entries())
        for (const [number, text] of [...hostile, at % 5 === 0 ? megabyte : long].entries()) {
          const changed = withText(object, path, text);
          const where = `${path.join('.')} = ${JSON.stringify(text.slice(0, 60))}`;
          const reading = readObject(definition, changed);
          if (reading.problem) {
            const shown = describeProblem({ kind: definition.kind, name: 'x', ...reading.problem });
            expect(isPlain(shown) && shown.length < 2000, where).toBe(true);
          }
          const verdict = validateResource(definition, changed, undefined, nothing);
          if (!verdict.ok)
            expect(describeInvalid(definition, 'x', verdict.errors).length, where).toBeGreaterThan(0);
          // What cannot be read leaves the others as they are. Each text meets the calculations at some of the places.
          const isCalculated = number === 0 || number === hostile.length || (number + at) % 8 === 0;
          if (!reading.object || !isCalculated) continue;
          if (!reads.sees(former, reading.object)) continue;
          const left = JSON.stringify(reading.object);
          if (seen.has(left)) continue;
          seen.add(left);
          expect(faultsOfAll(baseObjects.with(index, changed)), where).toEqual([]);
        }
    },
    // Bounded by its work: a machine under load takes as long as it takes.
    600_000,
  );

  it('changes no command, rule or session in a field that no calculation reads', () => {
    // The test above leaves these fields out.
    const text = JSON.stringify(base);
    for (const { object, index, definition, paths } of cases) {
      const reads = readsOf(index, faultsOfAll);
      const [former] = readAll([object]);
      const unread = paths
        .map((path) => withText(object, path, 'hostile'))
        .filter((changed) => {
          const { object: read } = readObject(definition, changed);
          return read !== undefined && !reads.sees(former, read);
        });
      expect(unread.length, definition.kind).toBeGreaterThan(0);
      for (const changed of unread.slice(-2))
        expect(JSON.stringify(calculate(baseObjects.with(index, changed))), definition.kind).toBe(text);
    }
  });

  it('is detected by this test when fault A1 is replanted', () => {
    const [mac, command] = [
      '66:00:00:00:00:02',
      `66:00:00:00:00:02 dev vxlan.cali nud permanent\nnetns add x`,
    ];
    const unread = base.ip.map((line) => line.replace(mac, command));
    expect(unread).not.toEqual(base.ip);
    expect(faultsOf({ ...base, ip: unread })).toHaveLength(1);
    const rule = base.nft.whole.map((line) => line.replace('172.18.0.2', '172.18.0.2 } ; flush ruleset #'));
    expect(faultsOf({ ...base, nft: { ...base.nft, whole: rule } }).length).toBeGreaterThan(0);
  });

  it('in any field, with any characters, is refused or read as a value', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...cases).chain((one) => fc.tuple(fc.constant(one), fc.constantFrom(...one.paths))),
        anyText(40),
        ([{ object, index, definition }, path], text) => {
          const changed = withText(object, path, text);
          if (!readObject(definition, changed).object) return;
          expect(faultsOfAll(baseObjects.with(index, changed))).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  }, 600_000);
});
