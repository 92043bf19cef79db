/** Capabilities (capabilities(7)) that the agent requires. deploy/README.md has the complete table. */
import { readFileSync } from 'node:fs';

const needed = [
  { bit: 12, name: 'NET_ADMIN', use: 'change interfaces, routes and nftables' },
  { bit: 21, name: 'SYS_ADMIN', use: 'enter the network namespaces of pods' },
] as const;

/**
 * Returns a sentence for each capability that is missing in the text of /proc/PID/status. NET_BIND_SERVICE is not
 * included, because it depends on the BGP port.
 */
export function missingCapabilities(status: string): string[] {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (effective === undefined) return [];
  const bits = BigInt(`0x${effective}`);
  return needed
    .filter(({ bit }) => ((bits >> BigInt(bit)) & 1n) === 0n)
    .map(
      ({ name, use }) =>
        `the agent cannot ${use}: add the capability ${name} to the securityContext of its container`,
    );
}

/** Returns a sentence for each capability that this process lacks. */
export function ownMissingCapabilities(): string[] {
  try {
    return missingCapabilities(readFileSync('/proc/self/status', 'utf8'));
  } catch {
    return [];
  }
}
