/** `calictl node status`: calicoctl's table with additional information (reference 6.2). */
import type { AgentStatus } from '../agent/report/status.ts';
import type { PeerStatus } from '../bgp/peer/config.ts';
import { describeProblem } from '../datastore/object-problem.ts';
import { familyOf } from '../lib/cidr.ts';
import { boxTable } from '../lib/table.ts';
import { toYaml } from '../lib/yaml.ts';

export type Format = 'table' | 'json' | 'yaml';

const header = ['Peer address', 'Peer type', 'State', 'Since', 'Info', 'Received', 'Sent'];
const INFO = 4;

/** Renders the report. A table of peers that would be wider than `columns` has only calicoctl's columns. */
export function renderStatus(
  status: AgentStatus,
  format: Format,
  now: Date,
  columns = Number.POSITIVE_INFINITY,
): string {
  if (format === 'json') return JSON.stringify(status, undefined, 2);
  if (format === 'yaml') return toYaml(status);
  const lines = ['Cali process is running.'];
  if (status.bgp.error) lines.push('', `The BGP speaker is not running: ${status.bgp.error}`);
  else {
    if (status.bgp.onHold)
      lines.push('', `BGP is on hold, its sessions stay unchanged: ${status.bgp.onHold}`);
    for (const family of [4, 6] as const) {
      const peers = status.bgp.peers.filter(({ config }) => familyOf(config.address) === family);
      if (family === 6 && !status.bgp.families.includes(6) && peers.length === 0) continue;
      lines.push('', `IPv${family} BGP status`);
      lines.push(
        peers.length === 0
          ? `No IPv${family} peers found.`
          : peerTable(
              peers.map((peer) => row(peer, now)),
              columns,
            ),
      );
    }
  }
  if (status.tunnels.length > 0)
    lines.push(
      '',
      'Tunnels',
      boxTable(
        ['Device', 'Address', 'MTU', 'State'],
        status.tunnels.map(({ device, address, mtu, isUp }) => [
          device,
          address ?? 'none yet',
          String(mtu ?? ''),
          isUp ? 'up' : 'down',
        ]),
      ),
    );
  if (status.notReady.length > 0)
    lines.push('', 'Not ready:', ...status.notReady.map((reason) => `  ${reason}`));
  if (status.dataplane.problems.length > 0)
    lines.push('', 'Dataplane:', ...status.dataplane.problems.map((problem) => `  ${problem}`));
  // An agent of an earlier version does not report them.
  const { objects = [], objectProblems = objects.length, notices = [] } = status as Partial<AgentStatus>;
  if (objects.length > 0)
    lines.push('', 'Objects with faults:', ...objects.map((one) => `  ${describeProblem(one)}`));
  if (objectProblems > objects.length) lines.push(`  and ${objectProblems - objects.length} more`);
  if (notices.length > 0) lines.push('', 'Fields without effect:', ...notices.map((one) => `  ${one}`));
  return lines.join('\n');
}

/** Renders the table of peers. If it is too wide, it omits the counts of routes and lists long reasons below. */
function peerTable(rows: readonly string[][], columns: number): string {
  const fits = (table: string) => table.indexOf('\n') <= columns;
  const whole = boxTable(header, rows);
  if (fits(whole)) return whole;
  const narrow = (all: readonly string[][]) =>
    boxTable(
      header.slice(0, INFO + 1),
      all.map((cells) => cells.slice(0, INFO + 1)),
    );
  const short = narrow(rows);
  if (fits(short)) return short;
  const states = rows.map((cells) => cells.with(INFO, cells[INFO]!.split(' ')[0]!));
  const reasons = rows
    .filter((cells) => cells[INFO]!.includes(' '))
    .map((cells) => `  ${cells[0]}: ${cells[INFO]}`);
  return [narrow(states), ...reasons].join('\n');
}

/** Returns 0 when the node is ready, BGP is not on hold and all sessions are up; else 1. */
export function exitCode(status: AgentStatus): 0 | 1 {
  const isUp = status.bgp.peers.every(({ state, isRetiring }) => isRetiring || state === 'Established');
  return isUp && !status.bgp.error && !status.bgp.onHold && status.notReady.length === 0 ? 0 : 1;
}

function row(peer: PeerStatus, now: Date): string[] {
  const isUp = peer.state === 'Established';
  return [
    peer.config.address,
    peer.config.peerType,
    isUp ? 'up' : 'start',
    sinceText(new Date(peer.since), now),
    [
      peer.state,
      isUp ? undefined : peer.lastError,
      peer.warning,
      peer.isRestarting ? 'restarting, routes retained' : undefined,
    ]
      .filter(Boolean)
      .join(' '),
    String(peer.prefixesReceived),
    String(peer.prefixesSent),
  ];
}

/** Formats a time as BIRD does: the time of today, else the date. */
function sinceText(since: Date, now: Date): string {
  const pad = (value: number) => String(value).padStart(2, '0');
  const date = `${since.getFullYear()}-${pad(since.getMonth() + 1)}-${pad(since.getDate())}`;
  const isToday = since.toDateString() === now.toDateString();
  return isToday ? `${pad(since.getHours())}:${pad(since.getMinutes())}:${pad(since.getSeconds())}` : date;
}
