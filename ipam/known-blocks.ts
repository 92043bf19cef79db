/**
 * This node's view of the blocks: those of the watch, and newer versions that the node wrote or read itself. It
 * compares resourceVersions of one server as numbers.
 */
import type { IPAMBlock } from '../datastore/schema/ipam.ts';

export class KnownBlocks {
  readonly #watched: () => readonly IPAMBlock[];
  /** Versions newer than the watch's. Bounded by the node's own blocks and those that it borrows from. */
  readonly #recent = new Map<string, IPAMBlock | { readonly goneAt: string | undefined }>();

  constructor(watched: () => readonly IPAMBlock[]) {
    this.#watched = watched;
  }

  all(): IPAMBlock[] {
    const known = new Map(this.#watched().map((block) => [block.spec.cidr, block]));
    for (const cidr of this.#recent.keys()) {
      const block = this.#newer(cidr, known.get(cidr));
      if (block) known.set(cidr, block);
      else known.delete(cidr);
    }
    return [...known.values()];
  }

  get(cidr: string): IPAMBlock | undefined {
    const seen = this.#watched().find(({ spec }) => spec.cidr === cidr);
    return this.#newer(cidr, seen);
  }

  /** Records a block that was just written or read. */
  remember(block: IPAMBlock): void {
    this.#recent.set(block.spec.cidr, block);
  }

  /** Records that a block is gone, up to its known version. */
  forget(block: IPAMBlock): void {
    this.#recent.set(block.spec.cidr, { goneAt: block.metadata.resourceVersion });
  }

  /** Returns the newer of the watch's block and our own. Drops our own once the watch has caught up. */
  #newer(cidr: string, seen: IPAMBlock | undefined): IPAMBlock | undefined {
    const recent = this.#recent.get(cidr);
    if (!recent) return seen;
    if ('goneAt' in recent) {
      if (seen && Number(seen.metadata.resourceVersion) <= Number(recent.goneAt)) return undefined;
      this.#recent.delete(cidr);
      return seen;
    }
    if (!seen || Number(seen.metadata.resourceVersion) < Number(recent.metadata.resourceVersion))
      return recent;
    this.#recent.delete(cidr);
    return seen;
  }
}
