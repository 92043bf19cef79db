/**
 * Calico's own Node (projectcalico.org/v3), with fields for annotations of the core Node. calictl shows and accepts it
 * as calicoctl does on Kubernetes. No server stores it. Calico reference 1.6.
 */
import { z } from 'zod';
import { nodeAnnotations } from '../datastore/schema/core.ts';
import { asNumber } from '../datastore/schema/fields.ts';
import {
  calicoKind,
  calicoObject,
  type FieldError,
  type ResourceDefinition,
} from '../datastore/schema/resource.ts';
import { parseAddress } from '../lib/cidr.ts';
import { Annotations } from '../model/node-annotations.ts';

/** Text of a field. The agent does not read longer annotations. */
const text = z.string().max(100).optional();

/** Calico's Node takes a dotted quad only; the annotation may also hold a number. */
const clusterId = z
  .string()
  .max(100)
  .refine(
    (value) => value === '' || parseAddress(value)?.family === 4,
    'must be a cluster ID, as a dotted quad such as 244.0.0.1',
  )
  .optional();

const spec = z.strictObject({
  bgp: z
    .strictObject({
      asNumber: asNumber.optional(),
      ipv4Address: text,
      ipv6Address: text,
      ipv4IPIPTunnelAddr: text,
      routeReflectorClusterID: clusterId,
    })
    .optional(),
  ipv4VXLANTunnelAddr: text,
  vxlanTunnelMACAddr: text,
  ipv6VXLANTunnelAddr: text,
  vxlanTunnelMACAddrV6: text,
  wireguard: z.looseObject({}).optional(),
  /** The following fields are derived from the core Node: shown, but not written. */
  orchRefs: z.array(z.looseObject({})).optional(),
  addresses: z.array(z.looseObject({})).optional(),
  interfaces: z.array(z.looseObject({})).optional(),
});
export type CalicoNodeSpec = z.output<typeof spec>;

const calicoNode = calicoObject('Node', spec.default({})).extend({
  status: z
    .strictObject({
      podCIDRs: z.array(z.string()).optional(),
      wireguardPublicKey: z.string().optional(),
      wireguardPublicKeyV6: z.string().optional(),
    })
    .optional(),
});
export type CalicoNode = z.output<typeof calicoNode>;

/** A field and its annotation. */
export interface NodeField {
  /** Path below the object, such as `spec.bgp.ipv4Address`. */
  readonly path: string;
  readonly annotation: string;
  /** Returns the value in a Node's spec. */
  readonly of: (spec: CalicoNodeSpec) => string | number | undefined;
  /** Returns the value in annotations, as the agent reads them. */
  readonly read: (annotations: Annotations) => string | number | undefined;
}

/** In calicoctl's order: `bgp` first. */
export const nodeFields: readonly NodeField[] = [
  {
    path: 'spec.bgp.asNumber',
    annotation: nodeAnnotations.asNumber,
    of: ({ bgp }) => bgp?.asNumber,
    read: (annotations) => annotations.asNumber(),
  },
  {
    path: 'spec.bgp.ipv4Address',
    annotation: nodeAnnotations.ipv4Address,
    of: ({ bgp }) => bgp?.ipv4Address,
    read: (annotations) => addressText(annotations, nodeAnnotations.ipv4Address, 4),
  },
  {
    path: 'spec.bgp.ipv6Address',
    annotation: nodeAnnotations.ipv6Address,
    of: ({ bgp }) => bgp?.ipv6Address,
    read: (annotations) => addressText(annotations, nodeAnnotations.ipv6Address, 6),
  },
  {
    path: 'spec.bgp.ipv4IPIPTunnelAddr',
    annotation: nodeAnnotations.ipv4IPIPTunnelAddr,
    of: ({ bgp }) => bgp?.ipv4IPIPTunnelAddr,
    read: (annotations) => annotations.tunnelAddress('ipip'),
  },
  {
    path: 'spec.bgp.routeReflectorClusterID',
    annotation: nodeAnnotations.routeReflectorClusterID,
    of: ({ bgp }) => bgp?.routeReflectorClusterID,
    read: (annotations) => annotations.clusterId(),
  },
  {
    path: 'spec.ipv4VXLANTunnelAddr',
    annotation: nodeAnnotations.ipv4VXLANTunnelAddr,
    of: ({ ipv4VXLANTunnelAddr }) => ipv4VXLANTunnelAddr,
    read: (annotations) => annotations.tunnelAddress('vxlan4'),
  },
  {
    path: 'spec.vxlanTunnelMACAddr',
    annotation: nodeAnnotations.vxlanTunnelMACAddr,
    of: ({ vxlanTunnelMACAddr }) => vxlanTunnelMACAddr,
    read: (annotations) => annotations.tunnelMac('vxlan4'),
  },
  {
    path: 'spec.ipv6VXLANTunnelAddr',
    annotation: nodeAnnotations.ipv6VXLANTunnelAddr,
    of: ({ ipv6VXLANTunnelAddr }) => ipv6VXLANTunnelAddr,
    read: (annotations) => annotations.tunnelAddress('vxlan6'),
  },
  {
    path: 'spec.vxlanTunnelMACAddrV6',
    annotation: nodeAnnotations.vxlanTunnelMACAddrV6,
    of: ({ vxlanTunnelMACAddrV6 }) => vxlanTunnelMACAddrV6,
    read: (annotations) => annotations.tunnelMac('vxlan6'),
  },
];

function addressText(annotations: Annotations, key: string, family: 4 | 6): string | undefined {
  const found = annotations.nodeAddress(key, family);
  return found && `${found.address}/${found.length}`;
}

/** Returns the annotations for a spec, as canonical text. Absent and empty fields have none. */
export function annotationsOf(name: string, spec: CalicoNodeSpec): Record<string, string> {
  const annotations = new Annotations({ kind: 'Node', name }, textsOf(spec));
  return Object.fromEntries(
    nodeFields.flatMap(({ annotation, read }) => {
      const value = read(annotations);
      return value === undefined ? [] : [[annotation, String(value)]];
    }),
  );
}

/** Returns the annotations for a spec as written, without validation. */
function textsOf(spec: CalicoNodeSpec): Record<string, string> {
  return Object.fromEntries(
    nodeFields.flatMap(({ annotation, of }) => {
      const value = of(spec);
      return value === undefined || value === '' ? [] : [[annotation, String(value)]];
    }),
  );
}

/** Applies rules beyond the schema: a value is valid if the agent can read its annotation. */
function validate({ metadata, spec }: CalicoNode): FieldError[] {
  const annotations = new Annotations({ kind: 'Node', name: metadata.name }, textsOf(spec));
  for (const { read } of nodeFields) read(annotations);
  const faults: FieldError[] = annotations.faults.flatMap(({ annotation, shown, wanted, cause }) => {
    const found = nodeFields.find((field) => field.annotation === annotation);
    const message = cause === undefined ? `must be ${wanted}` : `${shown} ${cause}; write ${wanted}`;
    return found ? [{ field: found.path, value: found.of(spec), message }] : [];
  });
  if (spec.bgp && Object.keys(spec.bgp).length === 0)
    faults.push({
      field: 'spec.bgp',
      value: {},
      message: 'must have at least one field: set one, or omit it',
    });
  if (spec.wireguard)
    faults.push({
      field: 'spec.wireguard',
      value: spec.wireguard,
      message: 'Cali does not support WireGuard: omit the field',
    });
  return faults;
}

export const calicoNodeKind: ResourceDefinition<typeof calicoNode> = {
  ...calicoKind(
    { kind: 'Node', plural: 'nodes', singular: 'node', shortNames: ['no', 'nos'] },
    calicoNode,
    [],
    validate,
  ),
  hasStatus: true,
};
