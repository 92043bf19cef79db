/** The real kernel: this network namespace, through `ip`, `bridge`, `nft`, `conntrack`, `ethtool` and /proc/sys. */
import os from 'node:os';
import type { Log } from '../lib/log.ts';
import { readAddresses } from './addresses.ts';
import { applyChanges } from './apply.ts';
import { Conntrack } from './conntrack.ts';
import { InsidePool } from './inside-pool.ts';
import { IpSession } from './ip-session.ts';
import { KernelMonitor } from './monitor.ts';
import { namespaceAt } from './namespace.ts';
import { linuxNft } from './nft.ts';
import { IpPodSession } from './pod-session.ts';
import type { Kernel } from './port.ts';
import { routeText, sourceOfPacketsTo } from './route-get.ts';
import { kernelFamilies, observeKernel } from './state.ts';
import { applySysctls } from './sysctls.ts';
import { deleteVeth, vethNames } from './veth.ts';
import { readForwarding, readVxlans, switchOffloadOff } from './vxlan.ts';

/** Starts a process that waits for the first pod. `close` ends it. */
export function linuxKernel(log: Log): Kernel {
  const session = new IpSession();
  const inside = new InsidePool();
  const nft = linuxNft(log);
  return {
    release: os.release(),
    families: kernelFamilies(),
    observe: observeKernel,
    apply: applyChanges,
    applySysctls,
    readVxlans,
    readForwarding,
    switchOffloadOff,
    watch: (hint) => new KernelMonitor(hint, log),
    openConnections: () => new Conntrack(log),
    pods: {
      namespaceAt,
      openSession: () => new IpPodSession(session),
      enter: (netns, sysctls) => inside.enter(netns, sysctls),
      applySysctls,
      deleteVeth,
      vethNames,
    },
    nft,
    readAddresses,
    sourceOfPacketsTo,
    routeText,
    close() {
      session.close();
      inside.close();
      nft.close();
    },
  };
}
