/** This node's addresses on the pods' veths. Any other host address there is removed. Pure. */
import type { InterfaceAddress } from '../../kernel/port.ts';
import type { LinkObjectKind } from './link-objects.ts';

/** Keyed by address and interface. */
export const addresses: LinkObjectKind<InterfaceAddress> = {
  name: 'addresses',
  urgency: 'now',
  key: ({ cidr, device }) => `${cidr} ${device}`,
  desired: (desired) => desired.addresses,
  observed: (kernel) => kernel.addresses,
  isSame: () => true,
  put: ({ cidr, device }) => ({ object: 'address', verb: 'add', cidr, device }),
  remove: ({ cidr, device }) => ({ object: 'address', verb: 'del', cidr, device }),
};
