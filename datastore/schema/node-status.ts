/** CalicoNodeStatus: what a node's agent says about itself, kept up to date on request. Calico reference 1.8. */
import { z } from 'zod';
import { ageColumn, calicoKind, calicoObject, type ResourceDefinition } from './resource.ts';

const nodeStatus = calicoObject(
  'CalicoNodeStatus',
  z.strictObject({
    node: z.string(),
    classes: z.array(z.enum(['Agent', 'BGP', 'Routes'])).min(1),
    /** 0: written once. */
    updatePeriodSeconds: z.number().int().min(0).max(86400).default(10),
  }),
).extend({ status: z.looseObject({ lastUpdated: z.string().nullish() }).optional() });
export type CalicoNodeStatus = z.output<typeof nodeStatus>;

export const calicoNodeStatusKind: ResourceDefinition<typeof nodeStatus> = {
  ...calicoKind(
    {
      kind: 'CalicoNodeStatus',
      plural: 'caliconodestatuses',
      singular: 'caliconodestatus',
      shortNames: ['cns'],
    },
    nodeStatus,
    [
      { name: 'Node', type: 'string', path: '.spec.node' },
      { name: 'Up', type: 'integer', path: '.status.bgp.numberEstablishedV4' },
      { name: 'Down', type: 'integer', path: '.status.bgp.numberNotEstablishedV4' },
      { name: 'Updated', type: 'date', path: '.status.lastUpdated' },
      ageColumn,
    ],
  ),
  hasStatus: true,
};
