/**
 * The guard: the part of our nftables table that limits what pods and hosts on the wire may send. It is always in force,
 * also before the datastore is in sync, and it accepts nothing. It uses connection tracking only to see translated
 * packets: an established connection gets no exception.
 */
import { INTERFACE_PREFIX } from '../../../model/endpoint.ts';
import type { NftTable } from '../nft.ts';
import { bfdRules, neighbourSets } from './bfd.ts';
import { encapsulationRules, encapsulatorSets, leftoverRules } from './encapsulation.ts';
import type { GuardInput } from './input.ts';
import { loopbackRules, martians } from './martians.ts';
import { fragmentChain, fragmentRule, portChains, portRules, portSets, translatedRules } from './ports.ts';
import { sourceChains, sourceSets } from './source.ts';

/** Base chains. A table with all of them is a guard of this version. */
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
        // IPVS translates in input and sends from here. Only a packet with a local source is the node's own.
        name: output,
        hook: 'filter hook output priority filter',
        rules: portRules(input, 'fib saddr type != local'),
      },
    ],
  };
}
