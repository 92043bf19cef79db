/** Why a change cannot become a message, in the words of iproute2. */
import type { Refusal } from '../write-request.ts';

/** Returns the index of an interface of this network namespace; undefined if there is none with this name. */
export type DeviceIndex = (name: string) => number | undefined;

export function noDevice(name: string): Refusal {
  return { code: 'ENODEV', message: `Cannot find device "${name}"` };
}

export function invalid(what: string, text: string | undefined): Refusal {
  return { code: 'EINVAL', message: `${what} is expected rather than "${text}".` };
}
