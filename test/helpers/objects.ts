/** Pools and nodes with the fields that a test names, and defaults for the rest. */
import { nodeKind } from '../../datastore/schema/core.ts';
import { type IPPool, ipPoolKind } from '../../datastore/schema/ip-pool.ts';
import { type NodeInfo, nodeInfo } from '../../model/node.ts';

export function ipPool(cidr: string, spec: object = {}, name = 'p'): IPPool {
  return ipPoolKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name },
    spec: { cidr, ...spec },
  });
}

/** Returns a node with Calico's annotations, named without their prefix. */
export function annotatedNode(name: string, annotations: Readonly<Record<string, string>>): NodeInfo {
  const prefixed = Object.entries(annotations).map(([key, value]) => [`projectcalico.org/${key}`, value]);
  return nodeInfo(
    nodeKind.schema.parse({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, annotations: Object.fromEntries(prefixed) },
    }),
  );
}
