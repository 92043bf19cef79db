/**
 * Current and former protocol numbers of this node's routes. A file in the run directory stores them, so that the agent
 * adopts routes with former numbers once. The directory is a tmpfs, so a reboot clears it with the routes.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Ownership } from '../../model/route-ownership.ts';
import {
  changeProtocols,
  DEFAULT_PROTOCOLS,
  type FormerProtocols,
  LEGACY_PROTOCOLS,
  NO_FORMER,
  type RouteProtocols,
} from '../../model/route-protocols.ts';

export const ROUTE_NUMBERS_FILE = 'route-protocols.json';

const number = z.number().int().min(1).max(255);
const schema = z.object({
  current: z.object({ local: number, bgp: number }),
  former: z.object({ local: z.array(number), bgp: z.array(number) }),
});

export interface RouteNumbers {
  /** Undefined until `configure` sets them. No routes may be written before. */
  readonly current: RouteProtocols | undefined;
  readonly former: FormerProtocols;
}

/**
 * Reads the numbers from the run directory. Call it before the agent creates its folder `endpoints`: if that exists
 * without our file, version 0.1 ran on this node since its last boot, and its routes must be adopted.
 */
export function readRouteNumbers(runDirectory: string, log: Log): RouteNumbers {
  const file = path.join(runDirectory, ROUTE_NUMBERS_FILE);
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    if (existsSync(file))
      log.error(
        { file, reason: messageOf(error) },
        'route protocol numbers unreadable: assuming an upgrade from version 0.1',
      );
  }
  const { local, bgp } = LEGACY_PROTOCOLS;
  const isUpgrade = existsSync(path.join(runDirectory, 'endpoints'));
  return { current: undefined, former: isUpgrade ? { local: [local], bgp: [bgp] } : NO_FORMER };
}

/** Maintains the file in a running agent. It is written before the kernel has a route with a new number. */
export class RouteNumbersFile {
  readonly #runDirectory: string;
  #numbers: RouteNumbers;

  constructor(runDirectory: string, log: Log) {
    this.#runDirectory = runDirectory;
    this.#numbers = readRouteNumbers(runDirectory, log);
  }

  /** Current and former numbers. */
  get numbers(): Pick<Ownership, 'protocols' | 'former'> {
    const { current, former } = this.#numbers;
    return { protocols: current ?? DEFAULT_PROTOCOLS, former };
  }

  /** Sets the configured numbers; the previous ones become former. Throws when it cannot write the file. */
  configure(next: RouteProtocols): void {
    const { current, former } = this.#numbers;
    if (current?.local === next.local && current.bgp === next.bgp) return;
    this.#write({ current: next, former: changeProtocols(current ?? next, former, next) });
  }

  /** Records that no route has a former number any more. Returns whether there were former numbers. */
  migrated(): boolean {
    const { current, former } = this.#numbers;
    if (!current || former.local.length + former.bgp.length === 0) return false;
    this.#write({ current, former: NO_FORMER });
    return true;
  }

  #write(numbers: RouteNumbers): void {
    const file = path.join(this.#runDirectory, ROUTE_NUMBERS_FILE);
    writeFileSync(`${file}.tmp`, JSON.stringify(numbers), { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
    this.#numbers = numbers;
  }
}
