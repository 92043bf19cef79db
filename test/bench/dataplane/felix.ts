/**
 * Felix's dataplane as a process of its own (`--felix`), so that its CPU time and memory are its own. It reads a line
 * per request and answers with a line: `{"program":N,"way":"direct"}`, `{"change":K}`.
 */
import { createInterface } from 'node:readline';
import { ownTable } from '../../../felix/calc/ruleset.ts';
import { Dataplane } from '../../../felix/dataplane/dataplane.ts';
import type { DesiredDataplane } from '../../../felix/dataplane/desired.ts';
import { linuxKernel } from '../../../kernel/linux.ts';
import { Nftables } from '../../../kernel/nftables.ts';
import { silentLog } from '../../../lib/log.ts';
import { systemTime } from '../../../lib/time.ts';
import type { Route } from '../../../model/route.ts';
import { DEFAULT_PROTOCOLS, NO_FORMER } from '../../../model/route-protocols.ts';
import { blocks, gatewayOf, type Way } from './world.ts';

/** A request to the process. */
export type FelixRequest =
  | { readonly program: number; readonly way: Way }
  /** Changes the gateway of one route after the other, this many times, and waits for each. */
  | { readonly change: number };

/** Milliseconds from the desired state to the end of the apply, one per change. */
export type FelixAnswer = readonly number[];

class Felix {
  readonly #dataplane: Dataplane;
  #routes: Route[] = [];
  /** Counts changes, so that each is new. */
  #turn = 0;
  #applied: () => void = () => {};

  constructor() {
    const kernel = linuxKernel(silentLog);
    this.#dataplane = new Dataplane(
      { node: 'bench' },
      {
        clock: systemTime,
        log: silentLog,
        kernel,
        nftables: new Nftables(ownTable, kernel.nft),
        observed: () => undefined,
        applied: () => this.#applied(),
        guarded: () => {},
      },
    );
    this.#dataplane.configure({ resyncMs: 90_000, families: [4], hasForwarding: false, problems: [] });
  }

  async answer(request: FelixRequest): Promise<FelixAnswer> {
    if ('program' in request) {
      this.#routes = blocks(request.program).map((destination, i) => route(destination, i, request.way));
      return [await this.#apply()];
    }
    const times: number[] = [];
    for (let left = request.change; left > 0; left--) {
      const turn = ++this.#turn;
      const i = (turn * 7919) % this.#routes.length;
      this.#routes[i] = route(this.#routes[i]!.destination, i + turn, 'direct');
      times.push(await this.#apply());
    }
    return times;
  }

  async #apply(): Promise<number> {
    const isApplied = new Promise<void>((resolve) => {
      this.#applied = resolve;
    });
    const startedAt = performance.now();
    this.#dataplane.setDesired({ ...EMPTY, routes: [...this.#routes] });
    await isApplied;
    const elapsed = performance.now() - startedAt;
    const { problems } = this.#dataplane.stats;
    if (problems.length > 0) throw new Error(problems[0]);
    return elapsed;
  }
}

const EMPTY: DesiredDataplane = {
  routes: [],
  endpoints: [],
  addresses: [],
  tunnels: [],
  ruleset: { guard: [], whole: [], nat: [] },
  isLearnedComplete: true,
  ownership: { protocols: DEFAULT_PROTOCOLS, former: NO_FORMER, ranges: [] },
};

function route(destination: string, i: number, way: Way): Route {
  const common = { destination, type: 'unicast', protocol: 'bgp', device: undefined } as const;
  return way === 'direct'
    ? { ...common, gateways: [gatewayOf(i)] }
    : { ...common, gateways: [], tunnels: [{ gateway: gatewayOf(i), device: 'vx0', isOnlink: true }] };
}

/** Serves requests from standard input until it ends. */
export async function serveFelix(): Promise<void> {
  const felix = new Felix();
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await felix.answer(JSON.parse(line) as FelixRequest);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}
