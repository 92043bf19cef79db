/** Which addresses a pod probes: those of the families that both sides have. */
import { familyOf } from '../lib/cidr.ts';
import type { Probe } from './prober.ts';

/** A pod or node with its addresses. */
export interface Endpoint {
  readonly name: string;
  readonly addresses: readonly string[];
}

/** Returns one probe for each address of `to` in a family of `from`; none from an endpoint to itself. */
export function probesBetween(from: Endpoint, to: Endpoint): Probe[] {
  if (from.name === to.name) return [];
  const families = new Set(from.addresses.map(familyOf));
  return to.addresses
    .filter((address) => families.has(familyOf(address)))
    .map((address) => ({ from: from.name, to: to.name, address }));
}
