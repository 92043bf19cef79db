/** Calculates the MTU of tunnels and pods. Pure. */
import { type TunnelKind, type TunnelSettings, tunnels } from '../model/tunnel.ts';

export function tunnelMtu(kind: TunnelKind, uplinkMtu: number, settings: TunnelSettings): number {
  return settings.mtu[kind] || uplinkMtu - tunnels[kind].overhead;
}

/** Returns the MTU of new pods: the largest that fits through every tunnel (Calico 3.4). */
export function podMtu(kinds: readonly TunnelKind[], uplinkMtu: number, settings: TunnelSettings): number {
  return Math.min(uplinkMtu, ...kinds.map((kind) => tunnelMtu(kind, uplinkMtu, settings)));
}
