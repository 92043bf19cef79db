/**
 * Tracks endpoints of reflector Deployments. An endpoint that leaves its Service is probably being replaced, so
 * sessions to it stay configured as long as the routes of a restarting peer (RFC 4724). Otherwise its routes would be
 * withdrawn at once. When all endpoints are absent for a while, the nodes fall back to the mesh.
 */
import type { ReflectorInfo } from '../../felix/calc/bgp/reflectors.ts';

/** A Deployment that replaces its pods has new endpoints within this time. */
const ABSENT_MS = 10_000;

export class ReflectorEndpoints {
  readonly #lingerMs: number;
  /** By name, with the time when it was last seen. Bounded by the endpoints seen within the linger time. */
  readonly #known = new Map<string, { info: ReflectorInfo; seenAt: number }>();

  constructor(lingerMs: number) {
    this.#lingerMs = lingerMs;
  }

  /** Sets the API's reflectors. Returns those to use, including recently removed ones. `now` in milliseconds. */
  update(found: readonly ReflectorInfo[], now: number): ReflectorInfo[] {
    const services = found.filter(({ port }) => port === 0);
    const uids = new Map(services.map(({ service, serviceUid }) => [service, serviceUid]));
    for (const info of found) if (info.port !== 0) this.#known.set(info.name, { info, seenAt: now });
    // Deleting a Service removes its reflectors, even if a new Service with the same name exists at once.
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

  /** Returns the milliseconds until the result of `update` changes without new input; undefined when it does not. */
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
 * A reflector's own endpoint. The Service adds a process late, and removes it early: when its pod is deleted but still
 * runs. Without this class the reflector would then end every session, and nodes would remove its routes at once.
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

  /** Returns the API's reflectors, plus this one while its Service exists. */
  update(found: readonly ReflectorInfo[]): readonly ReflectorInfo[] {
    const own = found.find(({ name }) => name === this.#name);
    if (own) this.#own = own;
    if (own || !this.#own) return found;
    const { service } = this.#own;
    return found.some(({ name }) => name === service) ? [...found, this.#own] : found;
  }
}
