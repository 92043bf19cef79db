import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { nodeKind } from '../../../datastore/schema/core.ts';
import { CalictlWorld } from '../../helpers/calictl.ts';

const core = (name: string, annotations: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'kubernetes.io/hostname': name }, annotations },
  spec: { podCIDR: '10.244.0.0/24', podCIDRs: ['10.244.0.0/24'] },
  status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
});
const v3 = (name: string, spec: object, metadata: object = {}) =>
  JSON.stringify({
    apiVersion: 'projectcalico.org/v3',
    kind: 'Node',
    metadata: { name, ...metadata },
    spec,
  });

let world: CalictlWorld;
beforeAll(async () => {
  world = await CalictlWorld.start();
  const addresses = {
    'projectcalico.org/IPv4Address': '10.0.0.1/24',
    'projectcalico.org/ASNumber': '1.10',
    'projectcalico.org/IPv4VXLANTunnelAddr': '10.244.0.1',
    'node.alpha.kubernetes.io/ttl': '0',
  };
  await world.client.create(nodeKind, core('n1', addresses));
  await world.client.create(nodeKind, core('n2'));
});
afterAll(() => world.stop());

async function annotations(name: string): Promise<Record<string, string>> {
  return (await world.client.get(nodeKind, name))?.metadata.annotations ?? {};
}
const yaml = async (name: string) => parse((await world.calictl('get', 'node', name, '-o', 'yaml')).out);
const applied = (text: string) => world.calictl('apply', '-f', world.file('node.json', text));

describe('the Node of projectcalico.org/v3', () => {
  it('shows annotations as fields, and values that follow from the core Node', async () => {
    const { resourceVersion, uid, creationTimestamp } = (await world.client.get(nodeKind, 'n1'))!.metadata;
    expect(await yaml('n1')).toEqual({
      apiVersion: 'projectcalico.org/v3',
      kind: 'Node',
      metadata: {
        ...{ name: 'n1', uid, resourceVersion, creationTimestamp },
        labels: { 'kubernetes.io/hostname': 'n1' },
        annotations: { 'node.alpha.kubernetes.io/ttl': '0' },
      },
      spec: {
        addresses: [
          { address: '10.0.0.1/24', type: 'CalicoNodeIP' },
          { address: '10.0.0.1', type: 'InternalIP' },
        ],
        bgp: { asNumber: 65546, ipv4Address: '10.0.0.1/24' },
        ipv4VXLANTunnelAddr: '10.244.0.1',
        orchRefs: [{ nodeName: 'n1', orchestrator: 'k8s' }],
      },
      status: { podCIDRs: ['10.244.0.0/24'] },
    });
    expect((await world.calictl('get', 'nodes', '-o', 'wide')).out).toBe(
      'NAME   ASN     IPV4          IPV6\nn1     65546   10.0.0.1/24\nn2\n',
    );
    expect((await world.calictl('get', 'no')).out).toBe('NAME\nn1\nn2\n');
  });

  it('is needed for its fields: in a core Node they are refused, because the API server would drop them', async () => {
    const { code, err } = await applied(
      JSON.stringify({ ...core('n2'), spec: { bgp: { asNumber: 65099 } } }),
    );
    expect(err).toContain(
      "node.json: Node n2: spec.bgp is a field of Calico's Node: set apiVersion: projectcalico.org/v3",
    );
    expect(code).toBe(1);
  });

  it('is patched in its annotations, and null removes them', async () => {
    const bgp = { routeReflectorClusterID: '224.0.0.1', ipv6Address: 'fd00:0::1/64' };
    const patched = await world.calictl('patch', 'node', 'n1', '-p', JSON.stringify({ spec: { bgp } }));
    expect(patched).toEqual({ code: 0, out: "Successfully patched 1 'Node' resource\n", err: '' });
    expect(await annotations('n1')).toMatchObject({
      'projectcalico.org/RouteReflectorClusterID': '224.0.0.1',
      'projectcalico.org/IPv6Address': 'fd00::1/64',
      'projectcalico.org/IPv4Address': '10.0.0.1/24',
      'node.alpha.kubernetes.io/ttl': '0',
    });
    const gone = { spec: { bgp: { routeReflectorClusterID: null, ipv6Address: null } } };
    expect((await world.calictl('patch', 'node', 'n1', '--patch', JSON.stringify(gone))).code).toBe(0);
    const left = await annotations('n1');
    expect(left).not.toHaveProperty(['projectcalico.org/RouteReflectorClusterID']);
    expect(left).not.toHaveProperty(['projectcalico.org/IPv6Address']);
    expect(left).toHaveProperty(['projectcalico.org/IPv4Address']);
    const json = JSON.stringify([{ op: 'add', path: '/spec/bgp/routeReflectorClusterID', value: '1.0.0.1' }]);
    expect((await world.calictl('patch', 'node', 'n1', '-t', 'json', '-p', json)).code).toBe(0);
    expect(await annotations('n1')).toHaveProperty(['projectcalico.org/RouteReflectorClusterID'], '1.0.0.1');
  });

  it('can lose the last field of bgp through a patch', async () => {
    const set = (value: number | null) =>
      world.calictl('patch', 'node', 'n2', '-p', JSON.stringify({ spec: { bgp: { asNumber: value } } }));
    expect((await set(65001)).err).toBe('');
    expect((await set(null)).err).toBe('');
    expect(await annotations('n2')).toEqual({});
  });

  it.each([
    [
      { spec: { bgp: { routeReflectorClusterId: '1.1.1.1' } } },
      /unknown field "spec\.bgp\.routeReflectorClusterId"/,
    ],
    [{ spec: { routeReflectorClusterID: '1.1.1.1' } }, /unknown field "spec\.routeReflectorClusterID"/],
    [
      { spec: { bgp: { routeReflectorClusterID: 'x' } } },
      /Node.* "n1" is invalid: spec\.bgp\.routeReflectorClusterID: Invalid value: "x": must be a cluster ID, as a dotted quad/,
    ],
    ...['1', '4294967295', 'fd00::1', '1.1.1.1/32'].map((routeReflectorClusterID): [object, RegExp] => [
      { spec: { bgp: { routeReflectorClusterID } } },
      /spec\.bgp\.routeReflectorClusterID: Invalid value: .*: must be a cluster ID, as a dotted quad such as 244\.0\.0\.1/,
    ]),
    [
      { spec: { bgp: { ipv4Address: '127.0.0.1/8' } } },
      /spec\.bgp\.ipv4Address: Invalid value: "127\.0\.0\.1\/8"/,
    ],
    [{ spec: { bgp: { asNumber: 0 } } }, /spec\.bgp\.asNumber: .*must be an AS number/],
    [{ spec: { vxlanTunnelMACAddr: 'aa' } }, /spec\.vxlanTunnelMACAddr: .*must be a unicast MAC address/],
    [
      { spec: { wireguard: { interfaceIPv4Address: '1.2.3.4' } } },
      /spec\.wireguard: .*does not support WireGuard/,
    ],
    [{ spec: { orchRefs: [] } }, /spec\.orchRefs is not written: it is derived from the core Node/],
    [{ status: { podCIDRs: ['10.0.0.0/24'] } }, /status: a patch cannot change this field/],
    [{ metadata: { name: 'n9' } }, /metadata\.name: a patch cannot change this field/],
    [
      { metadata: { annotations: { 'projectcalico.org/ASNumber': '5' } } },
      /the annotation projectcalico\.org\/ASNumber is not written: set spec\.bgp\.asNumber/,
    ],
  ])('refuses the patch %j with a reason and stays unchanged', async (change, sentence) => {
    const before = await world.client.get(nodeKind, 'n1');
    const { code, out, err } = await world.calictl('patch', 'node', 'n1', '-p', JSON.stringify(change));
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(/^Failed to patch 'Node' resource n1: /);
    expect(err).toMatch(sentence);
    expect(await world.client.get(nodeKind, 'n1')).toEqual(before);
  });

  it('is set to the content of the file by apply and replace, and keeps foreign labels', async () => {
    const first = await applied(v3('n1', { bgp: { ipv4Address: '10.0.0.1/24' } }, { labels: { rack: 'a' } }));
    expect(first).toEqual({ code: 0, out: "Successfully applied 1 'Node' resource(s)\n", err: '' });
    expect(await annotations('n1')).toEqual({
      'projectcalico.org/IPv4Address': '10.0.0.1/24',
      'node.alpha.kubernetes.io/ttl': '0',
    });
    expect((await world.client.get(nodeKind, 'n1'))!.metadata.labels).toEqual({
      'kubernetes.io/hostname': 'n1',
      rack: 'a',
    });
    const file = world.file('replace.json', v3('n1', { bgp: { asNumber: 65002 } }));
    expect((await world.calictl('replace', '-f', file)).code).toBe(0);
    expect(await annotations('n1')).toEqual({
      'projectcalico.org/ASNumber': '65002',
      'node.alpha.kubernetes.io/ttl': '0',
    });
  });

  it('can be applied as get shows it, and fields that are not written are named', async () => {
    const { out } = await world.calictl('get', 'node', 'n1', '-o', 'yaml');
    expect(await applied(out)).toMatchObject({ code: 0, err: '' });
    const other = await applied(
      v3('n1', { bgp: { asNumber: 65002 }, orchRefs: [{ orchestrator: 'mesos' }] }),
    );
    expect(other).toMatchObject({
      code: 0,
      err: 'Node n1: spec.orchRefs is not written: it is derived from the core Node\n',
    });
  });

  it('gains and loses labels with calictl label, and selectors and kubectl see them', async () => {
    const label = (...args: string[]) => world.calictl('label', 'nodes', 'n2', ...args);
    expect((await label('rr=yes')).out).toBe('Successfully set label rr on Node n2\n');
    expect((await world.client.get(nodeKind, 'n2'))!.metadata.labels).toHaveProperty('rr', 'yes');
    expect((await label('rr=no')).err).toBe('label rr of Node n2 is yes: add --overwrite to change it\n');
    expect((await label('rr=no', '--overwrite')).out).toBe('Successfully updated label rr on Node n2\n');
    expect((await label('rr', '--remove')).out).toBe('Successfully removed label rr from Node n2\n');
    expect((await world.client.get(nodeKind, 'n2'))!.metadata.labels).not.toHaveProperty('rr');
    expect(await label('rr', '--remove')).toEqual({
      code: 1,
      out: '',
      err: 'cannot remove label of Node n2, key rr does not exist\n',
    });
  });

  it('cannot be created or deleted, because Nodes belong to Kubernetes', async () => {
    const { code, err } = await applied(v3('n9', { bgp: { asNumber: 65001 } }));
    expect(code).toBe(1);
    expect(err).toMatch(/Failed to apply 'Node' resource n9: kubelets create Nodes: start a kubelet/);
    const deleted = await world.calictl('delete', 'node', 'n1');
    expect(deleted.code).toBe(1);
    expect(deleted.err).toMatch(/Failed to delete 'Node' resource n1: .*kubectl delete node n1/);
    expect(await world.client.get(nodeKind, 'n1')).toBeDefined();
  });

  it('is shown with a warning about labels in calicoctl’s annotation, because Cali ignores them', async () => {
    const annotations = { 'projectcalico.org/labels': '{"rr":"yes"}' };
    await world.client.patch(nodeKind, 'n2', { metadata: { annotations } });
    const { err } = await world.calictl('get', 'node', 'n2');
    expect(err).toMatch(/^Node n2: .*projectcalico\.org\/labels\]: .*set them with calictl label\n$/);
    await world.client.patch(nodeKind, 'n2', {
      metadata: { annotations: { 'projectcalico.org/labels': null } },
    });
  });

  it('is shown without an annotation that the agent ignores, and the annotation is named', async () => {
    await world.client.patch(nodeKind, 'n2', {
      metadata: { annotations: { 'projectcalico.org/IPv4Address': 'nowhere' } },
    });
    const { code, out, err } = await world.calictl('get', 'node', 'n2', '-o', 'wide');
    expect([code, out]).toEqual([0, 'NAME   ASN   IPV4   IPV6\nn2\n']);
    expect(err).toMatch(
      /^Node n2: metadata\.annotations\[projectcalico\.org\/IPv4Address\]: "nowhere" counts as absent/,
    );
  });
});
