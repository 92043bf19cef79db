import { expect, it } from 'vitest';
import { type FaultSources, ObjectFaults } from '../../../../agent/report/object-faults.ts';
import type { UnreadableObject } from '../../../../datastore/informer.ts';
import { type Node, nodeAnnotations, nodeKind } from '../../../../datastore/schema/core.ts';
import { Boundary } from '../../../../lib/boundary.ts';
import { silentLog } from '../../../../lib/log.ts';

const fault = (kind: string, name: string, isAbsent = true): UnreadableObject => ({
  problem: { kind, name, field: 'spec', reason: 'is malformed' },
  uid: undefined,
  conditions: undefined,
  isAbsent,
});
const node = (name: string, ipv4Address: string): Node =>
  nodeKind.schema.parse({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, annotations: { [nodeAnnotations.ipv4Address]: ipv4Address } },
  });

function faults(
  { problems = [] as UnreadableObject[], nodes = [] as Node[] },
  more: Partial<FaultSources> = {},
) {
  return new ObjectFaults('n1', {
    view: { problems: () => problems, nodes: () => nodes, bgpConfigurations: () => [], bgpPeers: () => [] },
    secrets: { problems: () => [fault('Secret', 's')], passwordProblems: () => [fault('BGPPeer', 'p')] },
    quarantine: { problems: () => [fault('IPPool', 'q')] },
    boundary: new Boundary(silentLog),
    ...more,
  });
}
const names = (objects: readonly UnreadableObject[]) =>
  objects.map(({ problem: { kind, name } }) => `${kind} ${name}`);

it('the faults are those of the view, Secrets, passwords, Nodes and the quarantine', () => {
  const nodes = [node('n1', '10.0.0.1/24'), node('n2', '10.0.0.1/24'), node('n3', 'x')];
  const all = faults({ problems: [fault('BGPFilter', 'f')], nodes }).all();
  expect(names(all).filter((name) => !name.startsWith('Node'))).toEqual([
    'BGPFilter f',
    'Secret s',
    'BGPPeer p',
    'IPPool q',
  ]);
  expect(names(all)).toEqual(expect.arrayContaining(['Node n2', 'Node n3']));
});

it('a source that fails does not hide the faults of the others', () => {
  const boundary = new Boundary(silentLog);
  const passwordProblems = () => {
    throw new Error('oops');
  };
  const secrets = { problems: () => [fault('Secret', 's')], passwordProblems };
  expect(names(faults({}, { secrets, boundary }).all())).toEqual(['Secret s', 'IPPool q']);
  expect(boundary.faults()).toEqual([expect.stringContaining('problems of passwords')]);
});

it.each([
  ['default', true, 'waiting until this is corrected: BGPConfiguration default: spec: is malformed'],
  ['node.n1', true, 'waiting until this is corrected: BGPConfiguration node.n1: spec: is malformed'],
  ['node.n2', true, undefined],
  ['default', false, undefined],
])('with BGPConfiguration %s, absent: %s, BGP waits for: %s', (name, isAbsent, reason) => {
  const problems = [fault('BGPConfiguration', name, isAbsent)];
  expect(faults({ problems }).unknownConfiguration()).toBe(reason);
});
