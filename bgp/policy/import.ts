/** Which received paths may be used (RFC 4271 sections 5.1.3 and 9.1.2, RFC 4456 section 8). */
import { countAs, firstAs } from '../wire/as-path.ts';
import type { PathAttributes } from '../wire/attributes.ts';

export interface ImportContext {
  readonly localAs: number;
  readonly peerAs: number;
  readonly isIbgp: boolean;
  readonly identifier: string;
  /** Addresses of this node: a next hop among them leads nowhere. */
  readonly ownAddresses: ReadonlySet<string>;
  /** How often our AS may occur in a path (numAllowedLocalASNumbers). */
  readonly allowedLocalAs: number;
}

/** The reason why a path may not be used; undefined when it may. */
export function importRejection(attributes: PathAttributes, context: ImportContext): string | undefined {
  const { asPath, originatorId, nextHop } = attributes;
  if (countAs(asPath, context.localAs) > context.allowedLocalAs)
    return `AS loop: our AS ${context.localAs} is in the AS_PATH`;
  if (countAs(asPath, 0) > 0) return 'AS 0 in the AS_PATH (RFC 7607)';
  if (!context.isIbgp && firstAs(asPath) !== context.peerAs) {
    return `the AS_PATH does not start with the peer's AS ${context.peerAs}`;
  }
  if (originatorId === context.identifier) return 'originated here (ORIGINATOR_ID)';
  if (context.ownAddresses.has(nextHop)) return `the next hop ${nextHop} is this node`;
  if (nextHop === '0.0.0.0' || nextHop === '::' || nextHop.startsWith('127.'))
    return `the next hop ${nextHop} is no host`;
  return undefined;
}
