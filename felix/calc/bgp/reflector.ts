/**
 * Derives the desired state of a standalone route reflector from documents: the same BGPConfiguration, BGPPeer and
 * BGPFilter as in a cluster, with the defaults of a reflector. Internal peers are clients, and external ones need
 * filters (RFC 8212).
 */
import type { DesiredSpeaker, DynamicPeers, PeerConfig } from '../../../bgp/peer/config.ts';
import { applyRulesPolicy } from '../../../bgp/policy/rules-policy.ts';
import type { BGPConfiguration } from '../../../datastore/schema/bgp-configuration.ts';
import { parsePeerIP } from '../../../datastore/schema/bgp-fields.ts';
import type { BGPFilter } from '../../../datastore/schema/bgp-filter.ts';
import type { BGPPeer } from '../../../datastore/schema/bgp-peer.ts';
import { familyOf } from '../../../lib/cidr.ts';
import { BGP_PORT, DEFAULT_AS, defaultsOf } from './cluster.ts';
import type { Secrets } from './password.ts';
import { rulesOf } from './policy.ts';
import { nextHopModeOf, peerSettings, type SessionDefaults } from './session.ts';

export interface ReflectorInput extends SessionDefaults {
  readonly configurations: readonly BGPConfiguration[];
  readonly peers: readonly BGPPeer[];
  readonly filters: readonly BGPFilter[];
  readonly secrets: Secrets;
  /** Dotted quad. */
  readonly routerId: string;
}

export function desiredReflector(input: ReflectorInput): DesiredSpeaker {
  const peers: PeerConfig[] = [];
  const dynamic: DynamicPeers[] = [];
  for (const peer of input.peers) {
    const { peerIP, peerCIDR } = peer.spec;
    if (peerCIDR) dynamic.push({ prefix: peerCIDR, template: configOf(peer, '', BGP_PORT, input) });
    if (!peerIP) continue;
    const { address, port } = parsePeerIP(peerIP)!;
    peers.push(configOf(peer, address, port ?? BGP_PORT, input));
  }
  return { peers, dynamic, originated: [] };
}

function configOf(peer: BGPPeer, address: string, port: number, input: ReflectorInput): PeerConfig {
  const { spec } = peer;
  const cluster = defaultsOf(input.configurations);
  const family = familyOf(address || spec.peerCIDR!);
  const asNumber = spec.asNumber ?? DEFAULT_AS;
  const globalAs = cluster.asNumber ?? DEFAULT_AS;
  const localAs = spec.localASNumber ?? globalAs;
  const isIbgp = asNumber === localAs;
  const priorities = { 4: 1024, 6: 1024 };
  const [importRules, exportRules] = (['import', 'export'] as const).map((direction) =>
    rulesOf(spec.filters ?? [], input.filters, direction),
  );
  return {
    ...peerSettings(spec, family, input.configurations, input, input.secrets),
    address,
    port,
    asNumber,
    localAs,
    globalAs,
    localAddress: undefined,
    isPassive: spec.peerCIDR !== undefined || (spec.passive ?? false),
    nextHopMode: nextHopModeOf(spec, isIbgp),
    clusterId: cluster.routeReflectorClusterID ?? input.routerId,
    isClient: isIbgp && (spec.routeReflectorClient ?? true),
    // Unused for internal routes, which all have a LOCAL_PREF.
    localPref: 100,
    requiresPolicy: !isIbgp,
    importPolicy: applyRulesPolicy('import', importRules!, isIbgp, priorities),
    exportPolicy: applyRulesPolicy('export', exportRules!, isIbgp, priorities),
    peerType: spec.peerCIDR ? 'dynamic' : 'global',
    name: peer.metadata.name,
  };
}
