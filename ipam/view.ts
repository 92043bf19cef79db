/** What the allocator reads from the node's copy of the datastore. */
import type { IPPool } from '../datastore/schema/ip-pool.ts';
import type { IPAMBlock, IPAMConfiguration, IPReservation } from '../datastore/schema/ipam.ts';

/** This node's view of the datastore. It may lag, because every write is checked. */
export interface IpamView {
  pools(): readonly IPPool[];
  /** Blocks that are named after their network (block-faults.ts). */
  blocks(): readonly IPAMBlock[];
  configuration(): IPAMConfiguration['spec'] | undefined;
  reservations(): readonly IPReservation[];
  nodeLabels(): Readonly<Record<string, string>>;
}
