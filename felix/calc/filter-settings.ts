/**
 * Parses FelixConfiguration's fields for the nftables table (Calico 1.10). An invalid field counts as absent and is
 * reported. The schema refuses such a field, but another version of the schema may have accepted it.
 */
import type { FelixConfiguration } from '../../datastore/schema/cluster.ts';
import { canonicalCidr } from '../../lib/cidr.ts';
import {
  type InterfacePattern,
  type PortRange,
  parseInterfacePattern,
  parseNatAddress,
  parsePortRange,
} from '../../lib/nat.ts';
import { DEFAULT_VXLAN_PORT, DEFAULT_VXLAN_VNI } from '../../model/tunnel.ts';

export interface FilterSettings {
  /** Additional addresses that may send encapsulated packets, as canonical networks. */
  readonly externalNodes: readonly string[];
  readonly allowsIpipFromPods: boolean;
  readonly allowsVxlanFromPods: boolean;
  /** Whether the pod annotation allowedSourcePrefixes takes effect. */
  readonly allowsSpoofing: boolean;
  readonly vxlanPort: number;
  readonly vxlanVni: number;
  readonly nat: NatSettings;
}

export interface NatSettings {
  /** Source ports for masqueraded connections. */
  readonly ports: PortRange | undefined;
  /** Fixed IPv4 source address, instead of the outgoing interface's. */
  readonly address: string | undefined;
  /** Whether traffic from pods to nodes keeps the pod's address too. */
  readonly excludesHosts: boolean;
  /** Masquerade only packets that leave through a matching interface. */
  readonly interface: InterfacePattern | undefined;
}

/** An ignored field, and why. */
export interface FieldProblem {
  readonly field: string;
  readonly reason: string;
}

export interface ParsedFilterSettings {
  readonly settings: FilterSettings;
  readonly problems: readonly FieldProblem[];
}

export function filterSettings(spec: FelixConfiguration['spec']): ParsedFilterSettings {
  const problems: FieldProblem[] = [];
  const parse = <T>(
    field: string,
    text: string | number | undefined,
    parser: (text: string) => T | undefined,
    need: string,
  ) => {
    if (text === undefined || text === '') return undefined;
    const value = parser(String(text));
    if (value === undefined) problems.push({ field, reason: `must be ${need}; it is ignored` });
    return value;
  };
  const settings: FilterSettings = {
    externalNodes: (spec.externalNodesList ?? []).flatMap(
      (text) => parse('externalNodesList', text, canonicalCidr, 'addresses or networks') ?? [],
    ),
    allowsIpipFromPods: spec.allowIPIPPacketsFromWorkloads ?? false,
    allowsVxlanFromPods: spec.allowVXLANPacketsFromWorkloads ?? false,
    allowsSpoofing: spec.workloadSourceSpoofing === 'Any',
    vxlanPort: spec.vxlanPort ?? DEFAULT_VXLAN_PORT,
    vxlanVni: spec.vxlanVNI ?? DEFAULT_VXLAN_VNI,
    nat: {
      ports: parse('natPortRange', spec.natPortRange, parsePortRange, 'low:high with 1 ≤ low ≤ high ≤ 65535'),
      address: parse(
        'natOutgoingAddress',
        spec.natOutgoingAddress,
        parseNatAddress,
        'an IPv4 address of a host',
      ),
      excludesHosts: spec.natOutgoingExclusions === 'IPPoolsAndHostIPs',
      interface: parse(
        'iptablesNATOutgoingInterfaceFilter',
        spec.iptablesNATOutgoingInterfaceFilter,
        parseInterfacePattern,
        'an interface name; a + at the end matches any characters',
      ),
    },
  };
  return { settings, problems };
}
