/** Parses IP_AUTODETECTION_METHOD and IP6_AUTODETECTION_METHOD (Calico reference 7.4). */
import { type Cidr, parseCidr } from '../../lib/cidr.ts';

export type Method =
  | { readonly kind: 'first-found' | 'kubernetes-internal-ip' }
  | { readonly kind: 'interface' | 'skip-interface'; readonly patterns: readonly RegExp[] }
  | { readonly kind: 'can-reach'; readonly destination: string }
  | { readonly kind: 'cidr'; readonly networks: readonly Cidr[] };

const METHODS =
  'must be first-found, kubernetes-internal-ip, interface=NAMES, skip-interface=NAMES, can-reach=DESTINATION or cidr=NETWORKS';

/** Returns the method, or a sentence such as `[ is not a regular expression`. */
export function parseMethod(text: string): Method | string {
  const [, kind, argument] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
  const parts = (argument ?? '').split(',').map((part) => part.trim());
  switch (kind) {
    case 'first-found':
    case 'kubernetes-internal-ip':
      return argument === undefined ? { kind } : METHODS;
    case 'interface':
    case 'skip-interface': {
      const patterns = parts.map(patternOf);
      const wrong = patterns.indexOf(undefined);
      if (wrong >= 0) return `"${parts[wrong]}" is not a regular expression: write ${kind}=eth.*,eno1`;
      return { kind, patterns: patterns.filter((pattern) => pattern !== undefined) };
    }
    case 'can-reach':
      // An address, or a name that the resolver may know. A hyphen first would be an option of `ip`.
      if (argument !== undefined && /^[\w.:][\w.:%-]{0,252}$/.test(argument))
        return { kind, destination: argument };
      return `"${argument ?? ''}" is not an address or a host name: write can-reach=192.0.2.1`;
    case 'cidr': {
      const networks = parts.map(parseCidr);
      const wrong = networks.indexOf(undefined);
      if (wrong >= 0) return `"${parts[wrong]}" is not a network: write cidr=10.0.0.0/8,192.168.0.0/16`;
      return { kind, networks: networks.filter((network) => network !== undefined) };
    }
    default:
      return METHODS;
  }
}

function patternOf(text: string): RegExp | undefined {
  if (text === '') return undefined;
  try {
    return new RegExp(`^(?:${text})$`);
  } catch {
    return undefined;
  }
}
