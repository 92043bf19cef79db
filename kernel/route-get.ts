/** Queries the route to an address with `ip route get`. */
import { CodedError } from '../lib/errors.ts';
import { run } from '../lib/exec.ts';

/**
 * Returns the source address of packets to an address; undefined without a route. Throws CodedError FAILED when ip did
 * not answer, because then it is unknown whether there is a route.
 */
export async function sourceOfPacketsTo(address: string): Promise<string | undefined> {
  const { outcome, ok, stdout, stderr } = await run('ip', ['-j', 'route', 'get', address]);
  if (outcome !== 'exited') throw new CodedError('FAILED', `ip route get ${address}: ${stderr}`);
  if (!ok) return undefined;
  return (JSON.parse(stdout) as { prefsrc?: string }[])[0]?.prefsrc;
}

/** Returns the route to an address as `ip` prints it, or the kernel's refusal. */
export async function routeText(address: string): Promise<string> {
  const { ok, stdout, stderr } = await run('ip', ['-o', 'route', 'get', address]);
  return ok ? stdout.split('\\')[0]!.trim() : stderr.trim();
}
