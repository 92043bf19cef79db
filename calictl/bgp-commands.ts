/** The command line of `calictl bgp` and `calictl explain`. */
import { writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { Explanation } from '../agent/serve/explain.ts';
import type { PeerStatus } from '../bgp/peer/config.ts';
import type { RouteView } from '../bgp/routes-view.ts';
import { formatAddress, parseAddress, parseCidr } from '../lib/cidr.ts';
import { CodedError } from '../lib/errors.ts';
import { printable } from '../lib/plain-text.ts';
import { askAgent } from './agent-client.ts';
import { type NeighborReport, renderExplanation, renderNeighbor, renderPeers, renderRoutes } from './bgp.ts';
import type { Surroundings } from './surroundings.ts';

type Form = 'table' | 'json';

export function addBgpCommands(program: Command, { print, columns }: Surroundings): void {
  const outputJson = () =>
    new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table' as const);
  const show = (output: Form, value: unknown, render: () => string) =>
    print(output === 'json' ? JSON.stringify(value, undefined, 2) : render());

  const bgp = program.command('bgp').description('show the BGP speaker of this node or route reflector');
  bgp
    .command('peers')
    .description('list sessions with their state and route counts')
    .addOption(outputJson())
    .action(async ({ output }: { output: Form }) => {
      const peers = await askAgent<PeerStatus[]>('/v1/bgp/peers');
      show(output, peers, () => renderPeers(peers, Date.now(), columns()));
    });
  bgp
    .command('routes [prefix]')
    .description(
      'list all paths, and why each is best or not; with a prefix or an address, only the routes that cover it',
    )
    .addOption(outputJson())
    .action(async (prefix: string | undefined, { output }: { output: Form }) => {
      if (prefix !== undefined && !parseCidr(prefix))
        throw new CodedError(
          'INPUT',
          `invalid prefix "${printable(prefix, 100)}": write it as 10.244.0.0/16, fd00::/48 or an IP address`,
        );
      const query = prefix === undefined ? '' : `?prefix=${encodeURIComponent(prefix)}`;
      const routes = await askAgent<RouteView[]>(`/v1/bgp/routes${query}`);
      show(output, routes, () => renderRoutes(routes, columns()));
    });
  bgp
    .command('neighbor <address>')
    .description(
      'show one session: capabilities, routes received and advertised, and why routes were refused',
    )
    .addOption(outputJson())
    .action(async (text: string, { output }: { output: Form }) => {
      const address = peerAddress(text);
      const query = `?peer=${encodeURIComponent(address)}`;
      const [peers, received, advertised] = await Promise.all([
        askAgent<PeerStatus[]>('/v1/bgp/peers'),
        askAgent<NeighborReport['received']>(`/v1/bgp/received${query}`),
        askAgent<NeighborReport['advertised']>(`/v1/bgp/advertised${query}`),
      ]);
      const peer = peers.find(({ config }) => config.address === address);
      if (!peer) throw new CodedError('NOT_FOUND', `BGP peer ${address} has just been removed`);
      const report = { peer, received, advertised };
      show(output, report, () => renderNeighbor(report, Date.now(), columns()));
    });
  bgp
    .command('dump <file>')
    .description('write the routing table as MRT (RFC 6396), for tools such as bgpdump')
    .action(async (file: string) => {
      const bytes = Buffer.from(await askAgent<string>('/v1/bgp/mrt'), 'base64');
      await writeFile(file, bytes);
      print(`${bytes.length} octets written to ${file}`);
    });

  program
    .command('explain')
    .description('explain decisions of Cali')
    .command('route <address>')
    .description('trace how this node reaches an address, from the IPPool to the kernel')
    .addOption(outputJson())
    .action(async (address: string, { output }: { output: Form }) => {
      const explanation = await askAgent<Explanation>(`/v1/explain?address=${encodeURIComponent(address)}`);
      show(output, explanation, () => renderExplanation(explanation));
    });
}

/** Returns the canonical address of a peer; a link-local one may have a zone (`%eth0`). Throws CodedError INPUT. */
function peerAddress(text: string): string {
  const [, bare = '', zone = ''] = /^([^%]*)(%.+)?$/s.exec(text) ?? [];
  const address = parseAddress(bare);
  if (address) return formatAddress(address) + zone;
  throw new CodedError(
    'INPUT',
    `invalid IP address "${printable(text, 100)}": name a peer by its address, as \`calictl bgp peers\` shows it`,
  );
}
