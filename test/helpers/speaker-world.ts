/**
 * Complete speakers on a network in memory, with virtual time. Speakers `r1` and `r2` are route reflectors; `n1` and so
 * on are nodes, which peer with each other or with the reflectors.
 */
import type { PeerConfig } from '../../bgp/peer/config.ts';
import { Speaker } from '../../bgp/speaker.ts';
import { silentLog } from '../../lib/log.ts';
import { MemoryNetwork } from './memory-network.ts';
import { VirtualTime } from './virtual-time.ts';

const PORT = 179;
const AS = 64512;
const REFLECTORS = ['10.0.1.1', '10.0.1.2'];

export class SpeakerWorld {
  readonly time: VirtualTime;
  readonly network: MemoryNetwork;
  readonly nodes: readonly string[];
  readonly #speakers = new Map<string, Speaker>();
  /** Prefixes that each node originates. */
  readonly originated = new Map<string, Set<string>>();
  #topology: 'mesh' | 'reflectors' = 'mesh';

  constructor(nodes: number, seed = 1) {
    this.time = new VirtualTime(seed);
    this.network = new MemoryNetwork(this.time);
    this.nodes = Array.from({ length: nodes }, (_, i) => `10.0.0.${i + 1}`);
    for (const node of this.nodes) this.originated.set(node, new Set());
    for (const address of [...REFLECTORS, ...this.nodes]) this.start(address);
  }

  speaker(address: string): Speaker {
    const speaker = this.#speakers.get(address);
    if (!speaker) throw new Error(`no speaker at ${address}`);
    return speaker;
  }

  /** Starts a speaker, or restarts it as after an upgrade: its peers keep its routes. */
  start(address: string): void {
    void this.#speakers.get(address)?.close(true);
    const speaker = new Speaker(
      {
        identifier: address,
        addresses: { 4: address },
        port: PORT,
        listenAddresses: [address],
        deferralSeconds: 120,
        unreachableSeconds: 10,
        hasKernel: true,
      },
      {
        clock: this.time,
        transport: this.network.host(address),
        log: silentLog,
        events: { changed() {} },
      },
    );
    this.#speakers.set(address, speaker);
    void speaker.listen();
    this.apply(address);
  }

  /** Changes the configuration. The speakers apply it one after the other, `lagSeconds` apart, reflectors first. */
  use(topology: 'mesh' | 'reflectors', lagSeconds = 0): void {
    this.#topology = topology;
    for (const [i, address] of [...REFLECTORS, ...this.nodes].entries())
      if (lagSeconds === 0) this.apply(address);
      else this.time.after(i * lagSeconds * 1000, () => this.apply(address));
  }

  /** Applies the desired state of one speaker. */
  apply(address: string): void {
    const others = this.nodes.filter((node) => node !== address);
    const isReflector = REFLECTORS.includes(address);
    const peers = isReflector
      ? this.#topology === 'reflectors'
        ? this.nodes
        : []
      : this.#topology === 'reflectors'
        ? REFLECTORS
        : others;
    const originated = [...(this.originated.get(address) ?? [])].map((prefix) => ({ prefix }));
    this.speaker(address).setDesired({
      peers: peers.map((peer) => peerConfig(peer, isReflector)),
      originated,
    });
  }

  originate(node: string, prefix: string): void {
    this.originated.get(node)?.add(prefix);
    this.apply(node);
  }

  withdraw(node: string, prefix: string): void {
    this.originated.get(node)?.delete(prefix);
    this.apply(node);
  }

  advance(seconds: number): void {
    this.time.advance(seconds * 1000);
  }

  /** What a node has learned: `prefix via next hop`, sorted. */
  learned(node: string): string[] {
    return [...this.speaker(node).learned.values()]
      .map(({ prefix, nextHops }) => `${prefix} via ${nextHops.join(' ')}`)
      .sort();
  }

  /** What a node must have learned when everything is quiet. */
  expected(node: string): string[] {
    return [...this.originated]
      .filter(([other]) => other !== node)
      .flatMap(([other, prefixes]) => [...prefixes].map((prefix) => `${prefix} via ${other}`))
      .sort();
  }
}

function peerConfig(address: string, isReflector: boolean): PeerConfig {
  return {
    address,
    port: PORT,
    asNumber: AS,
    localAs: AS,
    localAddress: undefined,
    families: [4],
    isPassive: false,
    peerType: isReflector || REFLECTORS.includes(address) ? 'global' : 'node-to-node mesh',
    name: address,
    holdTimeSeconds: 90,
    restartTimeSeconds: 120,
    allowedLocalAs: 0,
    ...(isReflector ? { isClient: true, clusterId: '1.1.1.1' } : {}),
  };
}
