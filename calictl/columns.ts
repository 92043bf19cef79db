/** Columns of `calictl get`, as in calicoctl (Calico reference 6.4). */
import { valueAt } from '../datastore/columns.ts';
import type { AnyResource } from '../datastore/schema/resource.ts';
import { CodedError } from '../lib/errors.ts';
import { printable } from '../lib/plain-text.ts';

/** How to read a cell: a path, or a function of the object. */
type Read = string | ((object: AnyResource, context: ColumnContext) => string);
export type CtlColumn = readonly [name: string, read: Read];

export interface ColumnContext {
  /** AS number of BGPConfiguration `default`, shown in parentheses for nodes without their own. */
  readonly defaultAsNumber: number | 'unknown';
}

/** The table of a kind: all its headings, and those that are shown. */
interface Table {
  readonly headings: Readonly<Record<string, Read>>;
  /** Default: all headings. */
  readonly ps?: readonly string[];
  /** Default: as ps. */
  readonly wide?: readonly string[];
}

const NAME = '.metadata.name';

const tables: Readonly<Record<string, Table>> = {
  Node: {
    headings: {
      NAME,
      ASN: (node, { defaultAsNumber }) => {
        if (valueAt(node, '.spec.bgp') === undefined) return '';
        return String(valueAt(node, '.spec.bgp.asNumber') ?? `(${defaultAsNumber})`);
      },
      IPV4: '.spec.bgp.ipv4Address',
      IPV6: '.spec.bgp.ipv6Address',
    },
    ps: ['NAME'],
    wide: ['NAME', 'ASN', 'IPV4', 'IPV6'],
  },
  WorkloadEndpoint: {
    headings: {
      NAME,
      NAMESPACE: '.metadata.namespace',
      WORKLOAD: '.spec.pod',
      NODE: '.spec.node',
      ORCHESTRATOR: '.spec.orchestrator',
      NETWORKS: '.spec.ipNetworks',
      INTERFACE: '.spec.interfaceName',
      PROFILES: '.spec.profiles',
      NATS: '.spec.ipNATs',
    },
    ps: ['WORKLOAD', 'NODE', 'NETWORKS', 'INTERFACE'],
    wide: ['NAME', 'WORKLOAD', 'NODE', 'NETWORKS', 'INTERFACE', 'PROFILES', 'NATS'],
  },
  IPPool: {
    headings: {
      NAME,
      CIDR: '.spec.cidr',
      NAT: '.spec.natOutgoing',
      IPIPMODE: '.spec.ipipMode',
      VXLANMODE: '.spec.vxlanMode',
      DISABLED: '.spec.disabled',
      DISABLEBGPEXPORT: '.spec.disableBGPExport',
      SELECTOR: '.spec.nodeSelector',
      ASSIGNMENTMODE: '.spec.assignmentMode',
    },
    ps: ['NAME', 'CIDR', 'SELECTOR'],
    wide: [
      ...['NAME', 'CIDR', 'NAT', 'IPIPMODE', 'VXLANMODE', 'DISABLED', 'DISABLEBGPEXPORT', 'SELECTOR'],
      'ASSIGNMENTMODE',
    ],
  },
  BGPPeer: {
    headings: {
      NAME,
      PEERIP: '.spec.peerIP',
      NODE: (peer) =>
        String(valueAt(peer, '.spec.node') || valueAt(peer, '.spec.nodeSelector') || '(global)'),
      ASN: '.spec.asNumber',
    },
  },
  BGPConfiguration: {
    headings: {
      NAME,
      LOGSEVERITY: orDash('.spec.logSeverityScreen'),
      MESHENABLED: orDash('.spec.nodeToNodeMeshEnabled'),
      ASNUMBER: orDash('.spec.asNumber'),
    },
  },
  BGPFilter: {
    headings: {
      NAME,
      NUMEXPORTV4: lengthOf('.spec.exportV4'),
      NUMIMPORTV4: lengthOf('.spec.importV4'),
      NUMEXPORTV6: lengthOf('.spec.exportV6'),
      NUMIMPORTV6: lengthOf('.spec.importV6'),
    },
  },
  ClusterInformation: {
    headings: {
      NAME,
      CLUSTERGUID: '.spec.clusterGUID',
      CLUSTERTYPE: '.spec.clusterType',
      CALICOVERSION: '.spec.calicoVersion',
      DATASTOREREADY: '.spec.datastoreReady',
    },
  },
  CalicoNodeStatus: {
    headings: { NAME, NODE: '.spec.node', CLASSES: '.spec.classes' },
    ps: ['NAME', 'NODE'],
    wide: ['NAME', 'NODE', 'CLASSES'],
  },
  IPReservation: {
    headings: { NAME, CIDRS: (object) => cut(joined(valueAt(object, '.spec.reservedCIDRs'))) },
    ps: ['NAME'],
    wide: ['NAME', 'CIDRS'],
  },
  IPAMConfiguration: {
    headings: {
      NAME,
      STRICTAFFINITY: '.spec.strictAffinity',
      AUTOALLOCATEBLOCKS: '.spec.autoAllocateBlocks',
      MAXBLOCKSPERHOST: '.spec.maxBlocksPerHost',
    },
    ps: ['NAME', 'STRICTAFFINITY', 'AUTOALLOCATEBLOCKS'],
    wide: ['NAME', 'STRICTAFFINITY', 'AUTOALLOCATEBLOCKS', 'MAXBLOCKSPERHOST'],
  },
  // calicoctl does not show the following kinds.
  IPAMBlock: {
    headings: {
      NAME,
      CIDR: '.spec.cidr',
      AFFINITY: '.spec.affinity',
      'IN USE': (block) => {
        const allocations = valueAt(block, '.spec.allocations');
        return Array.isArray(allocations) ? String(allocations.filter((index) => index !== null).length) : '';
      },
    },
  },
  BlockAffinity: { headings: { NAME, NODE: '.spec.node', CIDR: '.spec.cidr', STATE: '.spec.state' } },
  Pod: {
    headings: {
      NAMESPACE: '.metadata.namespace',
      WORKLOAD: NAME,
      NODE: '.spec.nodeName',
      NETWORKS: '.metadata.annotations.cni\\.projectcalico\\.org/podIPs',
    },
    ps: ['WORKLOAD', 'NODE', 'NETWORKS'],
  },
};

/** Table for kinds whose only column is the name. */
const plainTable: Table = { headings: { NAME, NAMESPACE: '.metadata.namespace' }, ps: ['NAME'] };

/** Returns the columns of a kind. */
export function columnsOf(kind: string, isWide: boolean): readonly CtlColumn[] {
  const { headings, ps = Object.keys(headings), wide = ps } = tableOf(kind);
  return columnsNamed(kind, isWide ? wide : ps);
}

/** Returns columns by their headings. Throws CodedError INPUT for a heading that the kind lacks. */
export function columnsNamed(kind: string, names: readonly string[]): readonly CtlColumn[] {
  const { headings } = tableOf(kind);
  return names.map((name) => {
    const read = Object.hasOwn(headings, name) ? headings[name] : undefined;
    if (read !== undefined) return [name, read];
    const valid = Object.keys(headings).join(', ');
    throw new CodedError('INPUT', `unknown heading ${printable(name, 100)}, valid values are: ${valid}`);
  });
}

function tableOf(kind: string): Table {
  return (Object.hasOwn(tables, kind) ? tables[kind] : undefined) ?? plainTable;
}

/** Returns the text of a cell. As in calicoctl, lists are joined by commas. */
export function cell(object: AnyResource, [, read]: CtlColumn, context: ColumnContext): string {
  return typeof read === 'function' ? read(object, context) : joined(valueAt(object, read));
}

function joined(value: unknown): string {
  if (value === undefined || value === null) return '';
  return Array.isArray(value) ? value.join(',') : String(value);
}

function orDash(path: string): Read {
  return (object) => joined(valueAt(object, path)) || '-';
}

function lengthOf(path: string): Read {
  return (object) => {
    const list = valueAt(object, path);
    return String(Array.isArray(list) ? list.length : 0);
  };
}

/** Maximum length of a cell with a list. */
const MAX_CELL = 80;
function cut(text: string): string {
  return text.length > MAX_CELL ? `${text.slice(0, MAX_CELL - 3)}...` : text;
}
