/** A pod's changes on the host, through the `ip` that keeps running (ip-session.ts). */
import { type ChangeError, type KernelChange, renderChange } from './change.ts';
import { changeErrors } from './change-errors.ts';
import type { IpSession } from './ip-session.ts';
import type { PodSession } from './port.ts';

/**
 * The long-lived `ip` caches interface names, and may know an earlier interface of the same name. So links that the
 * session added with an index are named by it (`dev if123`).
 */
export class IpPodSession implements PodSession {
  readonly #ip: IpSession;
  /** By name. Bounded by the links of one pod. */
  readonly #indexes = new Map<string, number>();

  constructor(ip: IpSession) {
    this.#ip = ip;
  }

  async apply(changes: readonly KernelChange[]): Promise<readonly ChangeError[]> {
    const commands = changes.map((change) => renderChange(this.#byIndex(change)));
    return changeErrors(await this.#ip.run(commands), commands, changes);
  }

  #byIndex(change: KernelChange): KernelChange {
    switch (change.object) {
      case 'link': {
        if (change.verb !== 'add') return { ...change, name: this.#nameOf(change.name) };
        if (change.index !== undefined) this.#indexes.set(change.name, change.index);
        return change;
      }
      case 'route': {
        const hops = change.hops.map((hop) => ({ ...hop, device: hop.device && this.#nameOf(hop.device) }));
        return { ...change, hops };
      }
      default:
        return { ...change, device: this.#nameOf(change.device) };
    }
  }

  #nameOf(name: string): string {
    const index = this.#indexes.get(name);
    return index === undefined ? name : `if${index}`;
  }
}
