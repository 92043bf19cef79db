/**
 * Endpoints of reflector Deployments over time. One that leaves its Service is most likely being replaced: sessions to
 * it stay configured as long as routes of a restarting peer do (RFC 4724), or they would be withdrawn at once. When no
 * endpoint is left for a while, the nodes mesh again until there is one.
 */
import type { ReflectorInfo } from '../felix/calc/bgp/reflectors.ts';

/** A Deployment that replaces its pods has new ones within this time. */
const ABSENT_MS = 10_000;

export class ReflectorEndpoints {
  readonly #lingerMs: number;
  /** By name, with the time at which it was there last. Bounded by what was there within the linger time. */
  readonly #known = new Map<string, { info: ReflectorInfo; seenAt: number }>();

  constructor(lingerMs: number) {
    this.#lingerMs = lingerMs;
  }

  /** Takes what the API has now, at a time in milliseconds; the reflectors to reckon with, those that have gone included. */
  update(found: readonly ReflectorInfo[], now: number): ReflectorInfo[] {
    const services = found.filter(({ port }) => port === 0);
    const uids = new Map(services.map(({ service, serviceUid }) => [service, serviceUid]));
    for (const info of found) if (info.port !== 0) this.#known.set(info.name, { info, seenAt: now });
    // A Service that is deleted takes its reflectors along, also when there is another one of its name at once.
    for (const [name, { info, seenAt }] of this.#known) {
      const isOrphan = !uids.has(info.service) || uids.get(info.service) !== info.serviceUid;
      if (isOrphan || now - seenAt > this.#lingerMs) this.#known.delete(name);
    }
    const endpoints = [...this.#known.values()].map(({ info, seenAt }) => ({
      ...info,
      isLive: now - seenAt <= ABSENT_MS,
    }));
    return [...services, ...endpoints];
  }

  /** Milliseconds until `update` would say something else of itself; undefined when it would not. */
  nextChange(now: number): number | undefined {
    const times = [...this.#known.values()]
      .filter(({ seenAt }) => seenAt < now)
      .map(({ seenAt }) => {
        const age = now - seenAt;
        return age <= ABSENT_MS ? ABSENT_MS - age : this.#lingerMs - age;
      });
    return times.length === 0 ? undefined : Math.max(0, Math.min(...times)) + 1;
  }
}

/**
 * A reflector's own entry. The Service learns of a process late and forgets it early, when its pod is deleted and it
 * still runs: the reflector would end every session, and nodes forget its routes at once.
 */
export class OwnEndpoint {
  readonly #name: string;
  #own: ReflectorInfo | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  /** Whether the Service has had this reflector among its endpoints. */
  get isListed(): boolean {
    return this.#own !== undefined;
  }

  /** Takes what the API has now; the same with this reflector, as long as its Service is there. */
  update(found: readonly ReflectorInfo[]): readonly ReflectorInfo[] {
    const own = found.find(({ name }) => name === this.#name);
    if (own) this.#own = own;
    if (own || !this.#own) return found;
    const { service } = this.#own;
    return found.some(({ name }) => name === service) ? [...found, this.#own] : found;
  }
}
