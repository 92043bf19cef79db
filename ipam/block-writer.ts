/**
 * Changes blocks by compare-and-swap. Changes that arrive while a block is being written are combined in the next
 * write: a hundred pods that start at once cost a few round trips, not a hundred.
 */
import type { Datastore } from '../datastore/datastore.ts';
import { DatastoreError } from '../datastore/errors.ts';
import { type IPAMBlock, ipamBlockKind, nameOfCidr } from '../datastore/schema/ipam.ts';
import type { BlockSpec } from './block.ts';
import type { KnownBlocks } from './known-blocks.ts';

interface Change {
  /** Called with the newest known spec, and again if that was outdated. Its exceptions are passed to the caller. */
  readonly apply: (spec: BlockSpec) => BlockSpec;
  readonly resolve: (isApplied: boolean) => void;
  readonly reject: (error: unknown) => void;
}

const MAX_ATTEMPTS = 100;

export class BlockWriter {
  readonly #store: Datastore;
  readonly #known: KnownBlocks;
  /** Pending changes per block that is being written. */
  readonly #waiting = new Map<string, Change[]>();

  constructor(store: Datastore, known: KnownBlocks) {
    this.#store = store;
    this.#known = known;
  }

  /**
   * Resolves with true after the result of `apply` has been written. If `apply` returns the spec unchanged, nothing is
   * written. A missing block is not an error: then it resolves with false, and earlier results of `apply` for that
   * block are discarded.
   */
  change(cidr: string, apply: Change['apply']): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const change = { apply, resolve, reject };
      const waiting = this.#waiting.get(cidr);
      if (waiting) {
        waiting.push(change);
        return;
      }
      this.#waiting.set(cidr, [change]);
      void this.#work(cidr);
    });
  }

  async #work(cidr: string): Promise<void> {
    for (;;) {
      const batch = this.#waiting.get(cidr)!.splice(0);
      if (batch.length === 0) break;
      try {
        await this.#write(cidr, batch);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#waiting.delete(cidr);
  }

  /** Writes a batch. Each change settles separately. */
  async #write(cidr: string, batch: readonly Change[]): Promise<void> {
    let block = this.#known.get(cidr);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      block ??= await this.#store.get(ipamBlockKind, nameOfCidr(cidr));
      // A block with this name and another network is not this block.
      if (block?.spec.cidr !== cidr) {
        for (const { resolve } of batch) resolve(false);
        return;
      }
      const { spec, settle } = applyAll(block.spec, batch);
      const written = await this.#swap(block, spec);
      if (written === true) {
        settle();
        return;
      }
      block = written;
    }
    throw new DatastoreError('CONFLICT', `block ${cidr} changed during each of ${MAX_ATTEMPTS} writes`);
  }

  /** Returns true when the block has the given spec; else the current block, undefined if it is gone. */
  async #swap(block: IPAMBlock, spec: BlockSpec): Promise<true | IPAMBlock | undefined> {
    if (spec !== block.spec) {
      try {
        this.#known.remember(await this.#store.update(ipamBlockKind, { ...block, spec }));
        return true;
      } catch (error) {
        if (!(error instanceof DatastoreError)) throw error;
        if (error.code !== 'CONFLICT' && error.code !== 'NOT_FOUND') throw error;
      }
    }
    // Another writer was faster; or there is nothing to change, provided that our copy is current.
    const fresh = await this.#store.get(ipamBlockKind, block.metadata.name);
    if (spec === block.spec && fresh?.metadata.resourceVersion === block.metadata.resourceVersion)
      return true;
    if (fresh) this.#known.remember(fresh);
    else this.#known.forget(block);
    return fresh;
  }
}

/** Applies all changes. One that throws changes nothing, and is rejected after the others have been written. */
function applyAll(before: BlockSpec, batch: readonly Change[]): { spec: BlockSpec; settle: () => void } {
  let spec = before;
  const outcomes = batch.map(({ apply, resolve, reject }) => {
    try {
      spec = apply(spec);
      return () => resolve(true);
    } catch (error) {
      return () => reject(error);
    }
  });
  return {
    spec,
    settle: () => {
      for (const settleOne of outcomes) settleOne();
    },
  };
}
