/** Reads the addresses of this network namespace with `ip`. */
import { CodedError } from '../lib/errors.ts';
import { run } from '../lib/exec.ts';
import type { LinkAddress } from './port.ts';
import { type AddressFlags, addressState } from './state.ts';

/**
 * Returns the addresses of this network namespace, in order of interface index. Throws CodedError CONFIG when ip is not
 * installed, FAILED when it did not answer.
 */
export async function readAddresses(): Promise<LinkAddress[]> {
  const result = await run('ip', ['-j', 'addr', 'show']);
  if (result.outcome === 'missing')
    throw new CodedError('CONFIG', `ip addr show: ${result.stderr}. Install iproute2.`);
  if (!result.ok) throw new CodedError('FAILED', `ip addr show: ${result.stderr || `exit ${result.code}`}`);
  const rows = JSON.parse(result.stdout || '[]') as {
    ifname?: string;
    flags?: string[];
    mtu?: number;
    addr_info?: ({ local: string; prefixlen: number; scope: string } & AddressFlags)[];
  }[];
  return rows.flatMap(({ ifname = '', flags = [], mtu = 1500, addr_info = [] }) =>
    addr_info.map(({ local, prefixlen, scope, ...state }) => ({
      device: ifname,
      isUp: flags.includes('UP'),
      mtu,
      cidr: `${local}/${prefixlen}`,
      scope,
      ...addressState(state),
    })),
  );
}
