/** BGP API for calictl on the local socket, the same on nodes and reflectors. */
import { dumpTable } from '../../bgp/monitor/mrt.ts';
import type { Peer } from '../../bgp/peer/peer.ts';
import {
  type RouteView,
  viewAdvertised,
  viewReceived,
  viewRoute,
  viewRoutes,
  whyNotAdvertised,
} from '../../bgp/routes-view.ts';
import type { Speaker } from '../../bgp/speaker.ts';
import { type Cidr, type Family, formatAddress, parseCidr } from '../../lib/cidr.ts';
import { type HttpAnswer, json, type Routes, text } from '../../lib/http.ts';
import { printable } from '../../lib/plain-text.ts';
import type { Clock } from '../../lib/time.ts';

const families: readonly Family[] = [4, 6];

/** Returns the handlers under /v1/bgp. `speaker` returns undefined while none runs. */
export function bgpRoutes(speaker: () => Speaker | undefined, clock: Pick<Clock, 'now'>): Routes {
  const withSpeaker =
    (answer: (running: Speaker, query: URLSearchParams) => HttpAnswer) => (query: URLSearchParams) => {
      const running = speaker();
      return running ? answer(running, query) : text(503, 'the BGP speaker is not running');
    };
  const withPeer = (answer: (running: Speaker, peer: Peer, query: URLSearchParams) => HttpAnswer) =>
    withSpeaker((running, query) => {
      const address = query.get('peer') ?? '';
      const peer = running.peer(address);
      return peer
        ? answer(running, peer, query)
        : text(404, `BGP peer ${printable(address, 100)} does not exist`);
    });
  return {
    '/v1/bgp/peers': withSpeaker((running) => json(running.status())),
    '/v1/bgp/mrt': withSpeaker((running) => mrtDump(running, clock.now())),
    '/v1/bgp/routes': withSpeaker((running, query) => {
      const asked = query.get('prefix');
      if (asked === null) return json(families.flatMap((family) => [...viewRoutes(running.ribs[family])]));
      const prefix = parseCidr(asked);
      return prefix ? json(routesTo(running, prefix)) : notPrefix(asked);
    }),
    '/v1/bgp/received': withPeer((running, peer) =>
      json(families.flatMap((family) => [...viewReceived(running.ribs[family], peer)])),
    ),
    '/v1/bgp/advertised': withPeer((running, peer) =>
      json(families.flatMap((family) => [...viewAdvertised(running.ribs[family], peer, family)])),
    ),
    '/v1/bgp/why-not-advertised': withPeer((running, peer, query) => {
      const prefix = query.get('prefix') ?? '';
      const family = parseCidr(prefix)?.family;
      if (!family) return notPrefix(prefix);
      const row = running.ribs[family].prefixes.findText(prefix);
      const reason = row < 0 ? 'the route does not exist' : whyNotAdvertised(peer, family, row);
      return json({ reason });
    }),
  };
}

function notPrefix(asked: string): HttpAnswer {
  return text(400, `"${printable(asked, 100)}" is neither a prefix nor an IP address`);
}

/** Returns the routes to a prefix or an address, and those that cover it, longest first. */
function routesTo(speaker: Speaker, prefix: Cidr): RouteView[] {
  const rib = speaker.ribs[prefix.family];
  const address = formatAddress(prefix);
  const views: RouteView[] = [];
  for (let bits = prefix.length; bits >= 0; bits--) {
    const row = rib.prefixes.findText(`${address}/${bits}`);
    if (row >= 0 && rib.head[row]! >= 0) views.push(viewRoute(rib, row));
  }
  return views;
}

/** Returns an MRT table dump in base64, because responses on the socket are text. */
function mrtDump(speaker: Speaker, now: number): HttpAnswer {
  const peers = [...speaker.peers].map(({ source, config, negotiated }) => ({
    source,
    address: config.address,
    identifier: negotiated?.peerIdentifier ?? '0.0.0.0',
    asNumber: config.asNumber,
  }));
  const ribs = families.map((family) => speaker.ribs[family]);
  const records = [...dumpTable(ribs, peers, speaker.identifier, Math.floor(now / 1000))];
  return json(Buffer.concat(records).toString('base64'));
}
