/**
 * Make before break: when one change brings new peers and takes others away, those that go stay until the new ones
 * have told everything, and a little longer, because the other side may not be that far.
 */
import type { Clock } from '../lib/clock.ts';

/** After the last new peer has everything, peers that are to go stay this long. */
const RETIRE_SECONDS = 3;

export interface SuccessionOptions {
  /** Longest wait for the new peers, seconds. */
  readonly patienceSeconds: number;
}

export interface SuccessionModules {
  readonly clock: Clock;
  /** The peer may go now. */
  readonly remove: (key: string) => void;
}

export class Succession {
  readonly #options: SuccessionOptions;
  readonly #modules: SuccessionModules;
  /** New peers that have not told everything yet. */
  readonly #joining = new Set<string>();
  /** Peers that are to go once those have. */
  readonly #retiring = new Set<string>();
  #cancel = () => {};

  constructor(options: SuccessionOptions, modules: SuccessionModules) {
    this.#options = options;
    this.#modules = modules;
  }

  isRetiring(key: string): boolean {
    return this.#retiring.has(key);
  }

  /** A peer came with a change. */
  join(key: string): void {
    this.#joining.add(key);
  }

  /** A peer is to go. False when nobody comes in its place: it can go at once. */
  retire(key: string): boolean {
    if (this.#retiring.has(key)) return true;
    if (this.#joining.size === 0) return false;
    this.#retiring.add(key);
    if (this.#retiring.size === 1)
      this.#after(this.#options.patienceSeconds, () => {
        this.#joining.clear();
        this.#removeSoon();
      });
    return true;
  }

  /** A peer that was to go is wanted again. True if it was. */
  keep(key: string): boolean {
    return this.#retiring.delete(key);
  }

  /** The peer has told everything, or never will. */
  settle(key: string): void {
    if (this.#joining.delete(key) && this.#joining.size === 0) this.#removeSoon();
  }

  close(): void {
    this.#cancel();
  }

  #removeSoon(): void {
    if (this.#retiring.size === 0) return;
    this.#after(RETIRE_SECONDS, () => {
      const keys = [...this.#retiring];
      this.#retiring.clear();
      for (const key of keys) this.#modules.remove(key);
    });
  }

  /** One time runs at once: the end of the wait replaces the wait. */
  #after(seconds: number, run: () => void): void {
    this.#cancel();
    this.#cancel = this.#modules.clock.after(seconds * 1000, run);
  }
}
