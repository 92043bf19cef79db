/**
 * The guard: the part of our nftables table that holds pods and hosts on the wire to what they may send. It is never
 * empty, needs nothing that the datastore alone knows, and accepts nothing. Of connection tracking it asks only what was
 * translated: a connection that is established is no better than its next packet.
 */
import { INTERFACE_PREFIX } from '../../endpoint.ts';
import type { NftTable } from '../nft.ts';
import { bfdRules, neighbourSets } from './bfd.ts';
import { encapsulationRules, encapsulatorSets, leftoverRules } from './encapsulation.ts';
import type { GuardInput } from './input.ts';
import { loopbackRules, martians } from './martians.ts';
import { fragmentChain, fragmentRule, portChains, portRules, portSets, translatedRules } from './ports.ts';
import { sourceChains, sourceSets } from './source.ts';

/** Chains that the kernel calls: a table that has them all is a guard of this version. */
export const guardChains = [
  'guard-wire',
  'guard-pods',
  'guard-forward',
  'guard-input',
  'guard-output',
] as const;

export function guardTable(input: GuardInput): NftTable {
  const [wire, pods, forward, local, output] = guardChains;
  const fromPods = `iifname "${INTERFACE_PREFIX}*"`;
  return {
    sets: [...portSets(input), ...sourceSets(input), ...encapsulatorSets(input), ...neighbourSets(input)],
    chains: [
      martians,
      ...sourceChains(input),
      ...portChains(input),
      fragmentChain,
      { name: 'pod-loopback', rules: loopbackRules },
      {
        name: wire,
        hook: 'filter hook prerouting priority raw',
        rules: ['iifname != "lo" jump martians', ...leftoverRules(input)],
      },
      {
        name: pods,
        hook: 'filter hook prerouting priority raw',
        rules: [`${fromPods} jump pod-source`, `${fromPods} ${fragmentRule}`, `${fromPods} jump pod-ports`],
      },
      {
        name: forward,
        hook: 'filter hook forward priority filter',
        rules: [`${fromPods} jump pod-ports`, ...translatedRules(input)],
      },
      {
        name: local,
        hook: 'filter hook input priority filter',
        rules: [
          `${fromPods} jump pod-loopback`,
          `${fromPods} jump pod-ports`,
          ...translatedRules(input),
          ...bfdRules,
          ...encapsulationRules(input),
        ],
      },
      {
        // IPVS translates in input and sends from here. A source that is not the node's own is not the node's packet.
        name: output,
        hook: 'filter hook output priority filter',
        rules: portRules(input, 'fib saddr type != local'),
      },
    ],
  };
}
