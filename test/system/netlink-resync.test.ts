/** Felix corrects drift although the kernel dropped the notifications about it. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ownTable } from '../../felix/calc/ruleset.ts';
import { Dataplane } from '../../felix/dataplane/dataplane.ts';
import type { DesiredDataplane } from '../../felix/dataplane/desired.ts';
import { linuxKernel } from '../../kernel/linux.ts';
import { Nftables } from '../../kernel/nftables.ts';
import type { Kernel } from '../../kernel/port.ts';
import { silentLog } from '../../lib/log.ts';
import { systemTime } from '../../lib/time.ts';
import { DEFAULT_PROTOCOLS, NO_FORMER } from '../../model/route-protocols.ts';
import { FakeKernel } from '../helpers/fake-kernel.ts';
import { until } from '../helpers/lab.ts';
import { NetworkNamespace } from '../helpers/network-namespace.ts';

const ROUTES = 500;
const HOUR_MS = 3_600_000;

let netns: NetworkNamespace;
let kernel: Kernel;
let dataplane: Dataplane | undefined;
beforeEach(() => {
  netns = new NetworkNamespace();
  // Room for a few notifications only.
  kernel = linuxKernel(silentLog, { netns: netns.path, receiveBuffer: 4096 });
});
afterEach(() => {
  dataplane?.close();
  kernel.close();
  netns.remove();
});

it('Drift is corrected at once after the kernel dropped notifications, long before the next full check.', async () => {
  let lost = 0;
  const events = kernel.watch(({ link, isAddress }) => {
    if (link === undefined && !isAddress) lost++;
  });
  const { nft } = new FakeKernel();
  dataplane = new Dataplane(
    { node: 'node1' },
    {
      clock: systemTime,
      log: silentLog,
      // Only links, addresses, routes and neighbours are in the namespace.
      kernel: { ...kernel, applySysctls: () => [], nft },
      nftables: new Nftables(ownTable, nft),
      observed: () => undefined,
      applied: () => undefined,
      guarded: () => undefined,
    },
  );
  dataplane.configure({ resyncMs: HOUR_MS, families: [4], hasForwarding: false, problems: [] });
  dataplane.setDesired(desired);
  const present = () => netns.ip('route show proto 161').split('\n').filter(Boolean).length;
  await until('all routes', 10_000, () => present() === ROUTES);
  netns.batch([
    ...Array.from({ length: 2000 }, (_, i) => `route add blackhole 10.77.${i >> 8}.${i & 255}`),
    ...Array.from({ length: ROUTES }, (_, i) => `route del ${prefixOf(i)}`),
  ]);
  await until('all routes again', 10_000, () => present() === ROUTES);
  expect(lost).toBeGreaterThan(0);
  events.close();
});

function prefixOf(i: number): string {
  return `10.244.${i >> 8}.${i & 255}/32`;
}

const desired: DesiredDataplane = {
  routes: Array.from({ length: ROUTES }, (_, i) => ({
    destination: prefixOf(i),
    type: 'blackhole',
    protocol: 'local',
    device: undefined,
    gateways: [],
  })),
  endpoints: [],
  addresses: [],
  tunnels: [],
  ruleset: { guard: [], whole: [], nat: [] },
  isLearnedComplete: true,
  ownership: { protocols: DEFAULT_PROTOCOLS, former: NO_FORMER, ranges: ['10.244.0.0/16'] },
};
