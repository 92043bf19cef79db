/** Columns of `calictl get`, as calicoctl has them (Calico reference 6.4). */
import { valueAt } from '../datastore/columns.ts';
import type { AnyResource } from '../datastore/schema/resource.ts';

/** Column name and how to read its cell: a path, or a function of the object. */
export type CtlColumn = readonly [
  name: string,
  read: string | ((object: AnyResource, context: ColumnContext) => string),
];

export interface ColumnContext {
  /** AS number of BGPConfiguration default, shown in parentheses where a node has none of its own. */
  readonly defaultAsNumber: number | 'unreadable';
}

const NAME: CtlColumn = ['NAME', '.metadata.name'];
const annotation = (key: string) => `.metadata.annotations.projectcalico\\.org/${key}`;

interface Columns {
  readonly ps: readonly CtlColumn[];
  readonly wide?: readonly CtlColumn[];
}

const byKind: Readonly<Record<string, Columns>> = {
  Node: {
    ps: [NAME],
    wide: [
      NAME,
      [
        'ASN',
        (node, { defaultAsNumber }) =>
          String(valueAt(node, annotation('ASNumber')) ?? `(${defaultAsNumber})`),
      ],
      ['IPV4', annotation('IPv4Address')],
      ['IPV6', annotation('IPv6Address')],
    ],
  },
  IPPool: {
    ps: [NAME, ['CIDR', '.spec.cidr'], ['SELECTOR', '.spec.nodeSelector']],
    wide: [
      NAME,
      ['CIDR', '.spec.cidr'],
      ['NAT', '.spec.natOutgoing'],
      ['IPIPMODE', '.spec.ipipMode'],
      ['VXLANMODE', '.spec.vxlanMode'],
      ['DISABLED', '.spec.disabled'],
      ['DISABLEBGPEXPORT', '.spec.disableBGPExport'],
      ['SELECTOR', '.spec.nodeSelector'],
      ['ASSIGNMENTMODE', '.spec.assignmentMode'],
    ],
  },
  BGPPeer: {
    ps: [
      NAME,
      ['PEERIP', '.spec.peerIP'],
      [
        'NODE',
        (peer) => String(valueAt(peer, '.spec.node') ?? valueAt(peer, '.spec.nodeSelector') ?? '(global)'),
      ],
      ['ASN', '.spec.asNumber'],
    ],
  },
  BGPConfiguration: {
    ps: [
      NAME,
      ['LOGSEVERITY', (object) => String(valueAt(object, '.spec.logSeverityScreen') ?? '-')],
      ['MESHENABLED', (object) => String(valueAt(object, '.spec.nodeToNodeMeshEnabled') ?? '-')],
      ['ASNUMBER', (object) => String(valueAt(object, '.spec.asNumber') ?? '-')],
    ],
  },
  ClusterInformation: {
    ps: [
      NAME,
      ['CLUSTERGUID', '.spec.clusterGUID'],
      ['CLUSTERTYPE', '.spec.clusterType'],
      ['CALICOVERSION', '.spec.calicoVersion'],
      ['DATASTOREREADY', '.spec.datastoreReady'],
    ],
  },
  IPReservation: { ps: [NAME], wide: [NAME, ['CIDRS', '.spec.reservedCIDRs']] },
  IPAMBlock: {
    ps: [
      NAME,
      ['CIDR', '.spec.cidr'],
      ['AFFINITY', '.spec.affinity'],
      [
        'IN USE',
        (block) =>
          String((valueAt(block, '.spec.allocations') as unknown[]).filter((index) => index !== null).length),
      ],
    ],
  },
  BlockAffinity: { ps: [NAME, ['NODE', '.spec.node'], ['CIDR', '.spec.cidr'], ['STATE', '.spec.state']] },
  Pod: {
    ps: [
      ['WORKLOAD', '.metadata.name'],
      ['NODE', '.spec.nodeName'],
      ['NETWORKS', '.metadata.annotations.cni\\.projectcalico\\.org/podIPs'],
    ],
  },
};

/** Columns of a kind; just the name for kinds without any of their own. */
export function columnsOf(kind: string, isWide: boolean): readonly CtlColumn[] {
  const columns = byKind[kind] ?? { ps: [NAME] };
  return isWide ? (columns.wide ?? columns.ps) : columns.ps;
}

/** Text of a cell; calicoctl shows lists joined by commas. */
export function cell(object: AnyResource, [, read]: CtlColumn, context: ColumnContext): string {
  const value = typeof read === 'function' ? read(object, context) : valueAt(object, read);
  if (value === undefined || value === null) return '';
  return Array.isArray(value) ? value.join(',') : String(value);
}
