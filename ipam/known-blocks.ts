/**
 * Blocks as this node knows them: those of the watch, and on top those that it wrote or read itself and the
 * watch has not caught up with. resourceVersions of one server are compared as numbers.
 */
import type { IPAMBlock } from '../datastore/schema/ipam.ts';

export class KnownBlocks {
  readonly #watched: () => readonly IPAMBlock[];
  /** Newer than the watch. Bounded by the node's own blocks and those it borrows from. */
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

  /** The block as it was just written or read. */
  remember(block: IPAMBlock): void {
    this.#recent.set(block.spec.cidr, block);
  }

  /** The block is gone, as far as the version known here goes. */
  forget(block: IPAMBlock): void {
    this.#recent.set(block.spec.cidr, { goneAt: block.metadata.resourceVersion });
  }

  /** The newer of the watch's block and the own one; drops what the watch has caught up with. */
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
