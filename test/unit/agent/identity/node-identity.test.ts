import { expect, it } from 'vitest';
import { NodeIdentity } from '../../../../agent/identity/node-identity.ts';
import { type Node, nodeAnnotations, nodeKind } from '../../../../datastore/schema/core.ts';
import { nodeInfo } from '../../../../model/node.ts';

const node = (uid: string, annotations: Record<string, string> = {}, labels = {}): Node =>
  nodeKind.schema.parse({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', uid, annotations, labels },
  });
const four = { [nodeAnnotations.ipv4Address]: '10.0.0.5/24' };
const six = { [nodeAnnotations.ipv6Address]: 'fd00::5/64' };

it('pods keep a family that the node has lost', () => {
  const identity = new NodeIdentity('n1', () => []);
  identity.adopt(nodeInfo(node('a', { ...four, ...six })));
  identity.adopt(nodeInfo(node('a', six)));
  expect(identity.families).toEqual([6]);
  expect(identity.podFamilies).toEqual([4, 6]);
});

it('the published node has the labels of the API and the addresses in use', () => {
  let nodes: Node[] = [];
  const identity = new NodeIdentity('n1', () => nodes);
  nodes = [node('a', six, { zone: 'b' })];
  expect(identity.published).toBeUndefined();
  identity.adopt(nodeInfo(node('a', four)));
  expect(identity.published).toMatchObject({
    labels: { zone: 'b' },
    addresses: { 4: { address: '10.0.0.5' } },
  });
  expect(identity.published?.addresses[6]).toBeUndefined();
  nodes = [];
  expect(identity.published).toBe(identity.self);
});

it('a Node is replaced when it has another UID, and not when it is deleted', () => {
  let nodes: Node[] = [];
  const identity = new NodeIdentity('n1', () => nodes);
  const replacedBy = (next: Node[]) => {
    nodes = next;
    return identity.isReplaced();
  };
  expect(replacedBy([])).toBe(false);
  expect(replacedBy([node('a')])).toBe(false);
  expect(replacedBy([])).toBe(false);
  expect(replacedBy([node('a')])).toBe(false);
  expect(replacedBy([node('b')])).toBe(true);
});
