/** The export policy of a node: filters, the rules of the cluster, and graceful shutdown (Calico 2.8, RFC 8326). */
import { describe, expect, it } from 'vitest';
import { Community } from '../../../bgp/wire/scan.ts';
import { type ExportRules, exportPolicy } from '../../../felix/calc/bgp/policy.ts';
import { someAttributes } from '../../helpers/rib.ts';

const rules: ExportRules = {
  transit: ['10.244.0.0/16'],
  hidden: [],
  communities: [],
  normalPriorities: { 4: 1024, 6: 1024 },
  isLeaving: true,
};
const accept = [
  { filter: 'all', rules: [{ cidr: '0.0.0.0/0', matchOperator: 'In', action: 'Accept' }] },
] as const;
const route = { prefix: '10.244.1.0/26', attributes: someAttributes, isLocal: true, isIbgp: false };

describe('a node with gracefulShutdown', () => {
  it.each([
    ['a route that a BGPFilter accepts', accept],
    ['a route that no BGPFilter matches', []],
  ])('marks %s (RFC 8326 section 4)', (_, filters) => {
    const result = exportPolicy(rules, filters, true).apply(route);
    expect(result).toMatchObject({
      isAccepted: true,
      attributes: { communities: [Community.GRACEFUL_SHUTDOWN], localPref: 0 },
    });
  });

  it('adds the community only once, and does not set LOCAL_PREF for an external peer', () => {
    const marked = { ...someAttributes, communities: [Community.GRACEFUL_SHUTDOWN] };
    const result = exportPolicy(rules, [], false).apply({ ...route, attributes: marked });
    expect(result).toMatchObject({ isAccepted: true, attributes: marked });
  });

  it('does not mark a route that its policy rejects', () => {
    expect(exportPolicy({ ...rules, hidden: ['10.244.0.0/16'] }, [], true).apply(route)).toEqual({
      isAccepted: false,
      reason: 'its IPPool has disableBGPExport',
    });
  });
});
