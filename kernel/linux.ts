/** The real kernel: this network namespace, through netlink, /proc/sys and nftables. */
import { existsSync } from 'node:fs';
import os from 'node:os';
import type { Family } from '../lib/cidr.ts';
import type { Log } from '../lib/log.ts';
import { Conntrack } from './conntrack.ts';
import { applyChanges } from './netlink/apply.ts';
import { MirroredObserver } from './netlink/mirrored-observer.ts';
import { readAddresses, readForwarding, readVxlans } from './netlink/observe.ts';
import { podKernel } from './netlink/pods.ts';
import { routeText, sourceOfPacketsTo } from './netlink/route-query.ts';
import { NETLINK_ROUTE } from './netlink/socket.ts';
import { Sockets } from './netlink/sockets.ts';
import { linuxNft } from './nft.ts';
import { switchOffloadOff } from './offload.ts';
import type { Kernel } from './port.ts';
import { applySysctls } from './sysctls.ts';

export interface LinuxOptions {
  /** File of the network namespace of links, addresses, routes and neighbours; default: this process's. For tests. */
  readonly netns?: string;
  /** Size of the kernel's buffer of notifications, in octets. */
  readonly receiveBuffer?: number;
}

/** Throws CodedError CONFIG when koffi is missing or has no build for this platform. */
export function linuxKernel(log: Log, options: LinuxOptions = {}): Kernel {
  const host = new Sockets(NETLINK_ROUTE, options.netns);
  const pods = new Sockets(NETLINK_ROUTE, options.netns);
  const families = kernelFamilies();
  const observer = new MirroredObserver(host, families);
  const nft = linuxNft(log);
  host.open();
  return {
    release: os.release(),
    families,
    observe: (some, { isFull = false } = {}) => observer.observe(some, isFull),
    missedNotifications: () => observer.missed,
    apply: async (changes) => {
      const errors = await applyChanges(host, changes);
      // The copy of the kernel's state may be the reason.
      if (errors.length > 0) observer.doubt();
      return errors;
    },
    applySysctls,
    readVxlans: () => readVxlans(host),
    readForwarding: (device) => readForwarding(host, device),
    switchOffloadOff: (device) => switchOffloadOff(device, options.netns),
    watch: (hint) => observer.watch(hint, log, options),
    openConnections: () => new Conntrack({ log }),
    pods: podKernel(pods, options.netns),
    nft,
    readAddresses: () => readAddresses(host),
    sourceOfPacketsTo: (address) => sourceOfPacketsTo(host, address),
    routeText: (address) => routeText(host, address),
    close() {
      host.close();
      pods.close();
      nft.close();
    },
  };
}

/** Returns the families that this kernel supports. */
function kernelFamilies(): Family[] {
  return existsSync('/proc/net/if_inet6') ? [4, 6] : [4];
}
