/** BGP API for calictl on the local socket, the same on nodes and reflectors. */
import { dumpTable } from '../../bgp/monitor/mrt.ts';
import type { Peer } from '../../bgp/peer/peer.ts';
import {
  viewAdvertised,
  viewReceived,
  viewRoute,
  viewRoutes,
  whyNotAdvertised,
} from '../../bgp/routes-view.ts';
import type { Speaker } from '../../bgp/speaker.ts';
import { type Family, familyOf, formatAddress, mustCidr, parseCidr } from '../../lib/cidr.ts';
import { type HttpAnswer, json, type Routes, text } from '../../lib/http.ts';
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
      return peer ? answer(running, peer, query) : text(404, `BGP peer ${address} does not exist`);
    });
  return {
    '/v1/bgp/peers': withSpeaker((running) => json(running.status())),
    '/v1/bgp/mrt': withSpeaker((running) => mrtDump(running, clock.now())),
    '/v1/bgp/routes': withSpeaker((running, query) => json(routesOf(running, query.get('prefix')))),
    '/v1/bgp/received': withPeer((running, peer) =>
      json(families.flatMap((family) => [...viewReceived(running.ribs[family], peer)])),
    ),
    '/v1/bgp/advertised': withPeer((running, peer) =>
      json(families.flatMap((family) => [...viewAdvertised(running.ribs[family], peer, family)])),
    ),
    '/v1/bgp/why-not-advertised': withPeer((running, peer, query) => {
      const prefix = query.get('prefix') ?? '';
      const family = familyOf(prefix);
      const rib = running.ribs[family];
      const row = parseCidr(prefix) ? rib.prefixes.findText(prefix) : -1;
      const reason = row < 0 ? 'the route does not exist' : whyNotAdvertised(peer, family, row);
      return json({ reason });
    }),
  };
}

/** Returns the routes to a prefix; for an address, those that cover it, longest first; without either, all. */
function routesOf(speaker: Speaker, prefix: string | null) {
  if (prefix === null) return families.flatMap((family) => [...viewRoutes(speaker.ribs[family])]);
  if (!parseCidr(prefix)) return [];
  const { family, length } = mustCidr(prefix);
  const rib = speaker.ribs[family];
  const address = formatAddress(mustCidr(prefix));
  const views = [];
  for (let bits = length; bits >= 0; bits--) {
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
