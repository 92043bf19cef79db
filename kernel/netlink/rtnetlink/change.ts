/** Encodes a change of any object. */
import type { KernelChange } from '../../change.ts';
import type { MessageWriter } from '../message-writer.ts';
import type { Refusal } from '../write-request.ts';
import { encodeAddress } from './address.ts';
import { encodeLink, type NamespaceFd } from './encode-link.ts';
import { encodeRoute, type RouteRequest } from './encode-route.ts';
import { encodeForwarding, encodeNeighbour } from './neighbour.ts';
import type { DeviceIndex } from './refusal.ts';

/** What a change names and the kernel numbers. */
export interface EncodingContext {
  readonly deviceIndex: DeviceIndex;
  readonly namespaceFd: NamespaceFd;
}

/**
 * Appends the message of a change, with the flags that iproute2 uses for its verb. The kernel acknowledges it under the
 * sequence number. Returns why there is no such message, and then appends nothing.
 */
export function encodeChange(
  writer: MessageWriter,
  change: Exclude<KernelChange, { object: 'route' }> | RouteRequest,
  sequence: number,
  { deviceIndex, namespaceFd }: EncodingContext,
): Refusal | undefined {
  switch (change.object) {
    case 'route':
      return encodeRoute(writer, change, sequence, deviceIndex);
    case 'neighbour':
      return encodeNeighbour(writer, change, sequence, deviceIndex);
    case 'address':
      return encodeAddress(writer, change, sequence, deviceIndex);
    case 'link':
      return encodeLink(writer, change, sequence, namespaceFd);
    case 'forwarding':
      return encodeForwarding(writer, change, sequence, deviceIndex);
  }
}
