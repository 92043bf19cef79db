import { describe, expect, it } from 'vitest';
import { withCondition } from '../../../controllers/conditions.ts';
import { resolved } from '../../../controllers/peer-status.ts';
import { bgpPeerKind } from '../../../datastore/schema/bgp-peer.ts';
import type { NodeInfo } from '../../../model/node.ts';

const node = (name: string, labels: Record<string, string> = {}): NodeInfo => ({
  name,
  labels,
  addresses: {},
  asNumber: undefined,
  clusterId: undefined,
  tunnels: {},
});
const peer = (spec: object) =>
  bgpPeerKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'BGPPeer',
    metadata: { name: 'p' },
    spec,
  });
const cluster = {
  nodes: [node('n1', { rack: 'a' }), node('n2', { rack: 'b' })],
  reflectors: [{ name: 'kube-system/rr', labels: { role: 'rr' } }],
  filters: new Set(['no-default']),
};
const said = (spec: object) => {
  const { status, reason, message } = resolved(peer(spec), cluster);
  return `${status} ${reason}: ${message}`;
};

describe('BGPPeer.status', () => {
  it('reports which nodes peer with which peers', () => {
    const router = { peerIP: '192.0.2.1:179', asNumber: 64999 };
    expect(said(router)).toBe('True Resolved: 2 nodes with 192.0.2.1');
    expect(said({ ...router, nodeSelector: "rack == 'a'", filters: ['no-default'] })).toBe(
      'True Resolved: 1 node with 192.0.2.1',
    );
    expect(said({ node: 'n1', peerSelector: "rack == 'b'" })).toBe('True Resolved: 1 node with 1 node');
    expect(said({ peerSelector: "has(rack) || role == 'rr'" })).toBe(
      'True Resolved: 2 nodes with 2 nodes and 1 reflector Service',
    );
    expect(said({ localWorkloadSelector: "app == 'vm'", asNumber: 64999 })).toBe(
      "True Resolved: 2 nodes with pods that match app == 'vm'",
    );
  });

  it('names what is missing on which side, and the remedy', () => {
    expect(said({ node: 'n3', peerIP: '192.0.2.1', asNumber: 64999 })).toBe(
      'False NoNode: Node n3 does not exist: set spec.node to the name of a Node',
    );
    expect(said({ nodeSelector: "rack == 'c'", peerIP: '192.0.2.1', asNumber: 64999 })).toMatch(
      /^False NoNode: no node has labels that match rack == 'c': /,
    );
    expect(said({ peerSelector: "role == 'reflector'" })).toMatch(
      /^False NoPeer: no node or reflector Service has labels that match role == 'reflector': label a Node, or the Service/,
    );
    expect(said({ node: 'n1', peerSelector: "rack == 'a'" })).toMatch(
      /^False NoPeer: no other node or reflector Service /,
    );
    expect(said({ peerIP: '192.0.2.1', asNumber: 64999, filters: ['no-default', 'own'] })).toBe(
      'False FilterNotFound: missing BGPFilter own: create it, or remove it from spec.filters',
    );
  });
});

describe('a condition', () => {
  const wanted = { type: 'Resolved', status: 'False', reason: 'NoPeer', message: 'm' } as const;
  const before = { ...wanted, lastTransitionTime: '2026-01-01T00:00:00Z' };
  const now = Date.parse('2026-02-02T00:00:00.500Z');

  it('is written when it changes, and its time changes only with its status', () => {
    expect(withCondition({ conditions: [before] }, wanted, now)).toBeUndefined();
    expect(withCondition(undefined, wanted, now)).toEqual([
      { ...wanted, lastTransitionTime: '2026-02-02T00:00:00Z' },
    ]);
    expect(withCondition({ conditions: [before] }, { ...wanted, message: 'other' }, now)).toEqual([
      { ...before, message: 'other' },
    ]);
    const other = { type: 'Other', status: 'True', reason: 'R', message: 'm' };
    expect(withCondition({ conditions: [before, other] }, { ...wanted, status: 'True' }, now)).toEqual([
      other,
      { ...wanted, status: 'True', lastTransitionTime: '2026-02-02T00:00:00Z' },
    ]);
  });

  it.each(['text', 7, {}, [null, 'text', {}, { type: 7 }]])(
    'replaces a value that is not a list of conditions: %j',
    (conditions) => {
      expect(withCondition({ conditions }, wanted, now)).toEqual([
        { ...wanted, lastTransitionTime: '2026-02-02T00:00:00Z' },
      ]);
    },
  );
});
