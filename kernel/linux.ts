/** The real kernel: this network namespace, through `ip`, `bridge`, `conntrack`, `ethtool` and /proc/sys. */
import os from 'node:os';
import type { Log } from '../lib/log.ts';
import { Conntrack } from './conntrack.ts';
import { runBatch } from './ip-batch.ts';
import { KernelMonitor } from './monitor.ts';
import type { Kernel } from './port.ts';
import { kernelFamilies, observeKernel } from './state.ts';
import { applySysctls } from './sysctls.ts';
import { readForwarding, readVxlans, switchOffloadOff } from './vxlan.ts';

export function linuxKernel(log: Log): Kernel {
  return {
    release: os.release(),
    families: kernelFamilies(),
    observe: observeKernel,
    runBatch,
    applySysctls,
    readVxlans,
    readForwarding,
    switchOffloadOff,
    watch: (hint) => new KernelMonitor(hint, log),
    openConnections: () => new Conntrack(log),
  };
}
