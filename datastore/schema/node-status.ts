/** CalicoNodeStatus: a request for the status of a node's agent, which keeps it up to date. Calico reference 1.8. */
import { z } from 'zod';
import { ageColumn, calicoKind, calicoObject, type ResourceDefinition } from './resource.ts';

const nodeStatus = calicoObject(
  'CalicoNodeStatus',
  z
    .strictObject({
      node: z.string().describe('Name of the node whose agent reports.'),
      classes: z
        .array(z.enum(['Agent', 'BGP', 'Routes']).describe('One part.'))
        .min(1)
        .describe('Parts of the status to report: Agent, BGP, Routes.'),
      updatePeriodSeconds: z
        .number()
        .int()
        .min(0)
        .max(86400)
        .default(10)
        .describe('Interval of updates; 0 writes the status once.'),
    })
    .describe('Which node reports, and what.'),
)
  .extend({
    status: z
      .looseObject({ lastUpdated: z.string().nullish().describe('Time of the last update.') })
      .optional()
      .describe('Report of the agent.'),
  })
  .describe('Status that the agent of a node reports on request.');
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
