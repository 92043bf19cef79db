/** Output of `calictl bgp peers|routes|neighbor` and `calictl explain route`. */
import type { Explanation } from '../agent/serve/explain.ts';
import type { Examples, FamilyStatus, PeerStatus } from '../bgp/peer/config.ts';
import type { AdvertisedView, PathView, RouteView } from '../bgp/routes-view.ts';
import type { PathAttributes } from '../bgp/wire/attributes.ts';
import { printable } from '../lib/plain-text.ts';
import { fold, plainTable } from '../lib/table.ts';

const origins = ['IGP', 'EGP', 'incomplete'];

/** By segment type (RFC 4271 section 4.3, RFC 5065 section 3); a plain sequence has no brackets. */
const brackets: Readonly<Record<number, readonly [string, string]>> = {
  1: ['{', '}'],
  3: ['(', ')'],
  4: ['({', '})'],
};

const peersHeader = [
  ...['PEER', 'AS', 'TYPE', 'STATE', 'FOR', 'RECEIVED', 'ACCEPTED', 'BEST', 'ADVERTISED', 'FLAPS', 'INFO'],
];
const counts = ['RECEIVED', 'ACCEPTED', 'BEST', 'ADVERTISED', 'FLAPS'];

/**
 * Renders sessions, one row each. A table that would be wider than `columns` omits the counts; if that is not enough,
 * it lists the information below.
 */
export function renderPeers(
  peers: readonly PeerStatus[],
  now: number,
  columns = Number.POSITIVE_INFINITY,
): string {
  const rows = peers.map((peer) => peerRow(peer, now));
  const whole = plainTable(peersHeader, rows);
  if (fits(whole, columns)) return whole;
  const short = plainTable(...without(counts, peersHeader, rows));
  if (fits(short, columns)) return short;
  const [header, narrow] = without([...counts, 'INFO'], peersHeader, rows);
  const information = rows.flatMap((cells) => {
    const text = cells.at(-1) ?? '';
    return text === '' ? [] : hang(`  ${cells[0]}: `, printable(text), columns, 4);
  });
  return [plainTable(header, narrow, columns), ...information].join('\n');
}

function peerRow(peer: PeerStatus, now: number): string[] {
  const sum = (families: readonly FamilyStatus[], pick: (status: FamilyStatus) => number) =>
    String(families.reduce((total, status) => total + pick(status), 0));
  return [
    peer.config.address,
    String(peer.config.asNumber),
    peer.config.peerType,
    peer.state,
    duration(now - peer.since),
    sum(peer.families, ({ received }) => received),
    sum(peer.families, ({ accepted }) => accepted),
    sum(peer.families, ({ best }) => best),
    sum(peer.families, ({ advertised }) => advertised),
    String(peer.flaps),
    peer.state === 'Established' ? (peer.warning ?? '') : (peer.lastError ?? peer.warning ?? ''),
  ];
}

function fits(table: string, columns: number): boolean {
  return columns === Number.POSITIVE_INFINITY || table.split('\n').every((line) => line.length <= columns);
}

/** Returns a table without the columns of these names. */
function without(
  names: readonly string[],
  header: readonly string[],
  rows: readonly (readonly string[])[],
): [string[], string[][]] {
  const isKept = header.map((name) => !names.includes(name));
  const pick = (cells: readonly string[]) => cells.filter((_, i) => isKept[i]);
  return [pick(header), rows.map(pick)];
}

/** Renders a table. One that would be wider than `columns` omits the `spare` columns, and folds its cells. */
function fittedTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number,
  spare: readonly string[],
): string {
  const whole = plainTable(header, rows);
  return fits(whole, columns) ? whole : plainTable(...without(spare, header, rows), columns);
}

/** Returns the lines of a text after its label; lines after the first are indented. */
function hang(label: string, text: string, columns: number, indent = label.length): string[] {
  const [first = '', ...rest] =
    (label + text).length <= columns ? [text] : fold(text, columns - label.length);
  const more = rest.length === 0 ? [] : fold(rest.join(' '), columns - indent);
  return [label + first, ...more.map((line) => ' '.repeat(indent) + line)];
}

/** Renders routes with all paths; `*` marks the best one, `s` a stale one, `x` an unusable one. */
export function renderRoutes(routes: readonly RouteView[], columns = Number.POSITIVE_INFINITY): string {
  const rows = routes.flatMap(({ prefix, paths }) =>
    paths.map((path, index) => routeRow(index === 0 ? prefix : '', path)),
  );
  const header = ['', 'PREFIX', 'NEXT HOP', 'FROM', 'LOCAL_PREF', 'AS PATH', 'ORIGIN', 'WHY'];
  return fittedTable(header, rows, columns, ['LOCAL_PREF', 'ORIGIN']);
}

function routeRow(prefix: string, path: PathView): string[] {
  const mark = [path.isBest ? '*' : path.isUsable ? ' ' : 'x', path.isStale ? 's' : ''].join('');
  const { attributes } = path;
  return [
    mark,
    prefix,
    attributes.nextHop || 'self',
    path.from ?? 'this node',
    String(attributes.localPref ?? ''),
    asPath(attributes),
    origins[attributes.origin] ?? '?',
    path.reason,
  ];
}

export interface NeighborReport {
  readonly peer: PeerStatus;
  readonly received: readonly ({ readonly prefix: string } & PathView)[];
  readonly advertised: readonly AdvertisedView[];
}

/** Renders all details of a session. */
export function renderNeighbor(
  { peer, received, advertised }: NeighborReport,
  now: number,
  columns = Number.POSITIVE_INFINITY,
): string {
  const isUp = peer.state === 'Established';
  const lines: [string, string | undefined][] = [
    ['Peer', `${peer.config.address} port ${peer.config.port}, AS ${peer.config.asNumber}`],
    ['Configured by', `${peer.config.name} (${peer.config.peerType})`],
    ['State', `${peer.state} for ${duration(now - peer.since)}`],
    ['Reason', isUp ? undefined : (peer.lastError ?? 'no attempt yet')],
    ['Warning', peer.warning],
    ['Last notification', peer.lastNotification],
    ['Router ID', peer.identifier],
    ['Local address', peer.localAddress],
    ['Local AS', String(peer.config.localAs)],
    [
      'Hold time',
      isUp ? `${peer.holdTimeSeconds} s, keepalive every ${Math.round(peer.keepaliveSeconds!)} s` : undefined,
    ],
    ['Route reflection', peer.config.isClient ? `client, cluster ${peer.config.clusterId}` : undefined],
    ['Capabilities', isUp ? peer.capabilities.join(', ') : undefined],
    ['BFD', peer.bfd],
    ['Messages', `${peer.messagesReceived} received, ${peer.messagesSent} sent`],
    ['UPDATEs', `${peer.updatesReceived} received, ${peer.updatesSent} sent`],
    [
      'Malformed UPDATEs',
      peer.malformed && `${peer.malformed.count}, the last: ${peer.malformed.lastReason}`,
    ],
    ['Flaps', String(peer.flaps)],
    ['Restarting', peer.isRestarting ? 'yes, its routes are retained' : undefined],
  ];
  const head = lines
    .filter(([, value]) => value !== undefined)
    .flatMap(([name, value]) => hang(`${name}:`.padEnd(20), value!, columns));
  const families = peer.families.flatMap((status) => [
    `IPv${status.family}: ${status.received} received, ${status.accepted} accepted, ${status.best} best, ${status.advertised} advertised`,
    ...status.refused.flatMap((refused) =>
      hang('  ', `${refused.count} refused (${someOf(refused)}): ${refused.reason}`, columns, 4),
    ),
    ...(status.tooLong.count > 0
      ? hang(
          '  ',
          `${status.tooLong.count} not advertised (${someOf(status.tooLong)}): ` +
            'their attributes do not fit into a message to this peer',
          columns,
          4,
        )
      : []),
  ]);
  const receivedTable = fittedTable(
    ['', 'RECEIVED', 'NEXT HOP', 'FROM', 'LOCAL_PREF', 'AS PATH', 'ORIGIN', 'RESULT'],
    received.map((path) => routeRow(path.prefix, path)),
    columns,
    ['FROM', 'LOCAL_PREF', 'ORIGIN'],
  );
  const advertisedTable = plainTable(
    ['ADVERTISED', 'LEARNED FROM', 'COMMUNITIES'],
    advertised.map(({ prefix, from, attributes }) => [prefix, from ?? 'this node', communities(attributes)]),
    columns,
  );
  return [...head, ...families, '', receivedTable, '', advertisedTable].join('\n');
}

/** Returns the example prefixes of a count, with `…` if there are more. */
function someOf({ count, examples }: Examples): string {
  return examples.join(', ') + (count > examples.length ? ', …' : '');
}

/** Renders the path of packets from the pool to the kernel, one line per step. */
export function renderExplanation(explanation: Explanation): string {
  const { address, pool, block, local, route, kernel } = explanation;
  const line = (name: string, value: string) => `${`${name}:`.padEnd(10)}${value}`;
  const lines = [
    line('Address', address),
    line('Pool', pool ?? 'not in an IPPool'),
    line('Block', block ? `${block.cidr} of node ${block.node ?? '(none)'}` : 'not in an IPAM block'),
  ];
  if (local) lines.push(line('Pod', `on this node, interface ${local.interfaceName}`));
  if (!route) lines.push(line('BGP', 'no route covers it'));
  else {
    lines.push(line('BGP', route.prefix));
    for (const path of route.paths) {
      const from =
        path.from === undefined
          ? 'originated here'
          : `from ${path.from}, next hop ${path.attributes.nextHop}`;
      lines.push(`          ${path.isBest ? '*' : '-'} ${from}: ${path.reason}`);
    }
  }
  lines.push(line('Kernel', kernel));
  return lines.join('\n');
}

/** Formats an AS path; empty for a route from this AS. Sets are in braces, confederation segments in parentheses. */
function asPath({ asPath: path }: PathAttributes): string {
  return path
    .map(({ type, asNumbers }) => {
      const [open, close] = brackets[type] ?? ['', ''];
      return `${open}${asNumbers.join(' ')}${close}`;
    })
    .join(' ');
}

function communities({ communities: plain = [], largeCommunities = [] }: PathAttributes): string {
  return [
    ...plain.map((value) => `${value >>> 16}:${value & 0xffff}`),
    ...largeCommunities.map((value) => value.join(':')),
  ].join(' ');
}

function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [days, hours, minutes] = [
    Math.floor(seconds / 86400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${days}d${hours}h`;
  if (hours > 0) return `${hours}h${minutes}m`;
  return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}
