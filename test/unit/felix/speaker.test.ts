/** Which peers a node has. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BGPPeer } from '../../../datastore/schema/bgp-peer.ts';
import { desiredSpeaker } from '../../../felix/calc/bgp/speaker.ts';
import { base, brief, configuration, node, peer } from '../../helpers/calc-input.ts';

describe('the desired state of the speaker (Calico 2.4, 2.5)', () => {
  it('has a full mesh with a session per other node; the side to open it is chosen by comparing address texts', () => {
    expect(brief({})).toEqual([
      // "10.0.0.10" < "10.0.0.8" < "10.0.0.9" as texts.
      '10.0.0.10:179 AS64512 active node-to-node mesh',
      '10.0.0.8:179 AS64512 active node-to-node mesh',
    ]);
    expect(brief({ node: 'n2' }).every((line) => line.includes('passive'))).toBe(true);
  });

  it('takes AS numbers and ports from the node, then from the default configuration', () => {
    const nodes = [...base.nodes.slice(0, 2), node('n3', '10.0.0.8/24', { ASNumber: '65003' })];
    const configurations = [
      configuration({ asNumber: 65000, listenPort: 1790 }),
      configuration({ listenPort: 1791 }, 'node.n2'),
    ];
    expect(brief({ nodes, configurations })).toEqual([
      '10.0.0.10:1791 AS65000 active node-to-node mesh',
      '10.0.0.8:1790 AS65003 active node-to-node mesh',
    ]);
  });

  it('has no mesh when the mesh is disabled', () => {
    expect(brief({ configurations: [configuration({ nodeToNodeMeshEnabled: false })] })).toEqual([]);
  });

  it('removes a route reflector from the mesh once BGPPeers give it a client node, in any order of arrival', () => {
    const reflector = node('n3', '10.0.0.8/24', { RouteReflectorClusterID: '1.0.0.1' }, { rr: 'yes' });
    const nodes = [...base.nodes.slice(0, 2), reflector];
    const meshed = (...peers: BGPPeer[]) =>
      ['n1', 'n2', 'n3'].map(
        (name) => brief({ node: name, nodes, peers }).filter((line) => line.includes('mesh')).length,
      );
    const everybody = [2, 2, 2];
    const clientsAlone = [1, 1, 0];
    expect(meshed()).toEqual(everybody);
    expect(meshed(peer('rr', { nodeSelector: 'all()', peerSelector: 'has(rr)' }))).toEqual(clientsAlone);
    expect(meshed(peer('rr', { peerIP: '10.0.0.8', asNumber: 64512 }))).toEqual(clientsAlone);
    expect(meshed(peer('back', { nodeSelector: 'has(rr)', peerSelector: '!has(rr)' }))).toEqual(clientsAlone);
    // These create no session with an ordinary node.
    expect(meshed(peer('tor', { peerIP: '192.0.2.1', asNumber: 65100 }))).toEqual(everybody);
    expect(meshed(peer('rr', { nodeSelector: 'has(rr)', peerSelector: 'has(rr)' }))).toEqual(everybody);
    const manual = { reversePeering: 'Manual' } as const;
    const there = peer('to', { nodeSelector: '!has(rr)', peerSelector: 'has(rr)', ...manual });
    const back = peer('from', { nodeSelector: 'has(rr)', peerSelector: '!has(rr)', ...manual });
    // The clients have the session from their BGPPeer, the reflector from the mesh.
    expect(meshed(there)).toEqual([1, 1, 2]);
    expect(meshed(there, back)).toEqual(clientsAlone);
  });

  it('has global, per-node and selected BGPPeers; an explicit peer replaces the mesh session to its address', () => {
    const peers = [
      peer('tor', { peerIP: '192.0.2.1', asNumber: 65100 }),
      peer('other', { peerIP: '192.0.2.2', asNumber: 65100, node: 'n2' }),
      peer('port', { peerIP: '192.0.2.3:1179', asNumber: 65100, nodeSelector: 'all()' }),
      peer('again', { peerIP: '10.0.0.8', asNumber: 64512 }),
    ];
    expect(brief({ peers })).toEqual([
      '10.0.0.10:179 AS64512 active node-to-node mesh',
      '10.0.0.8:179 AS64512 active global',
      '192.0.2.1:179 AS65100 active global',
      '192.0.2.3:1179 AS65100 active node specific',
    ]);
  });

  it('has one session per family, and treats a malformed address as absent', () => {
    const nodes = [
      node('n1', '10.0.0.1/24', { IPv6Address: 'fd00::1/64' }),
      node('n2', 'nonsense', { IPv6Address: 'fd00::2/64' }),
    ];
    const [only, ...rest] = desiredSpeaker({ ...base, nodes }).peers;
    expect(only).toMatchObject({ address: 'fd00::2', families: [6], localAddress: 'fd00::1' });
    expect(rest).toEqual([]);
  });

  it('does not depend on the order of its inputs', () => {
    // JSON omits policies' functions and keeps their keys.
    const expected = JSON.stringify(desiredSpeaker(base));
    fc.assert(
      fc.property(fc.shuffledSubarray([...base.nodes], { minLength: 3 }), (nodes) => {
        expect(JSON.stringify(desiredSpeaker({ ...base, nodes }))).toEqual(expected);
      }),
    );
  });
});
