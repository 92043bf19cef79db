import { describe, expect, it } from 'vitest';
import { calicoNodeKind } from '../../../calictl/calico-node.ts';
import { calicoNodeOf, nodePatch, notWritten, writable } from '../../../calictl/node-conversion.ts';
import { nodeKind } from '../../../datastore/schema/core.ts';

const core = (annotations: Record<string, string>, more: object = {}) =>
  nodeKind.schema.parse({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n', resourceVersion: '7', labels: { rack: 'a' }, annotations },
    status: {
      addresses: [
        { type: 'InternalIP', address: '10.0.0.1' },
        { type: 'Hostname', address: 'n' },
      ],
    },
    ...more,
  });
const calico = (spec: object, metadata: object = {}) =>
  calicoNodeKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'Node',
    metadata: { name: 'n', ...metadata },
    spec,
  });

const own = {
  'projectcalico.org/IPv4Address': '10.0.0.1/24',
  'projectcalico.org/IPv4VXLANTunnelAddr': '10.244.0.1',
};

describe('a core Node as the Node of Calico', () => {
  it('has the annotations of Calico as fields and the others as annotations', () => {
    const { object, problems } = calicoNodeOf(core({ ...own, other: 'x' }));
    expect(object.spec).toMatchObject({
      bgp: { ipv4Address: '10.0.0.1/24' },
      ipv4VXLANTunnelAddr: '10.244.0.1',
      orchRefs: [{ nodeName: 'n', orchestrator: 'k8s' }],
    });
    expect(object.metadata).toMatchObject({ annotations: { other: 'x' }, labels: { rack: 'a' } });
    expect(problems).toEqual([]);
  });

  it('has no bgp when no annotation says anything about BGP', () => {
    expect(calicoNodeOf(core({})).object.spec).not.toHaveProperty('bgp');
  });

  it('takes the podCIDR of servers that send no podCIDRs', () => {
    expect(calicoNodeOf(core({}, { spec: { podCIDR: '10.1.0.0/24' } })).object.status).toEqual({
      podCIDRs: ['10.1.0.0/24'],
    });
    expect(calicoNodeOf(core({}, { spec: { podCIDRs: [] } })).object.status).toBeUndefined();
  });

  it('lacks an annotation that the agent ignores, and names it', () => {
    const { object, problems } = calicoNodeOf(core({ 'projectcalico.org/IPv4Address': '::1' }));
    expect(object.spec).not.toHaveProperty('bgp');
    expect(problems).toMatchObject([{ field: 'metadata.annotations[projectcalico.org/IPv4Address]' }]);
  });

  it('has a problem when calicoctl stored labels in an annotation, because selectors do not see them', () => {
    const { problems } = calicoNodeOf(core({ 'projectcalico.org/labels': '{"a":"b"}' }));
    expect(problems).toMatchObject([{ reason: expect.stringContaining('set them with calictl label') }]);
  });
});

describe('the patch from a core Node to a wanted one', () => {
  it('is empty for the Node as calictl shows it', () => {
    const node = core({ ...own, other: 'x' });
    expect(nodePatch(node, calicoNodeOf(node).object).metadata).toEqual({
      resourceVersion: '7',
      labels: {},
      annotations: {},
    });
  });

  it('removes labels, fields and foreign annotations that the wanted Node lacks', () => {
    const { labels, annotations } = nodePatch(core({ ...own, other: 'x' }), calico({})).metadata;
    expect(labels).toEqual({ rack: null });
    expect(annotations).toEqual({
      'projectcalico.org/IPv4Address': null,
      'projectcalico.org/IPv4VXLANTunnelAddr': null,
      other: null,
    });
  });

  it('takes annotations of fields from the spec, not from the annotations of the file', () => {
    const wanted = calico(
      { bgp: { asNumber: 65_001 } },
      { annotations: { 'projectcalico.org/IPv4Address': '10.9.9.9/24', other: 'y' } },
    );
    expect(nodePatch(core(own), wanted).metadata.annotations).toEqual({
      'projectcalico.org/ASNumber': '65001',
      'projectcalico.org/IPv4Address': null,
      'projectcalico.org/IPv4VXLANTunnelAddr': null,
      other: 'y',
    });
  });

  it('changes a label whose name is that of a JavaScript property', () => {
    const wanted = calico({}, { labels: { rack: 'a', constructor: 'x' } });
    expect(nodePatch(core({}), wanted).metadata.labels).toEqual({ constructor: 'x' });
  });
});

describe('what no write can change', () => {
  const present = calicoNodeOf(core(own, { spec: { podCIDRs: ['10.1.0.0/24'] } })).object;

  it('is nothing for the Node as calictl shows it, and for one without the derived fields', () => {
    expect(notWritten(present, present)).toEqual([]);
    expect(notWritten(present, calico({ bgp: { asNumber: 1 } }))).toEqual([]);
  });

  it('is each derived field that differs, and each annotation that has a field', () => {
    const wanted = {
      ...calico(
        { orchRefs: [], addresses: [{ address: '1.2.3.4' }], interfaces: [{ name: 'eth0' }] },
        { annotations: { 'projectcalico.org/ASNumber': '5' } },
      ),
      status: { podCIDRs: [] },
    };
    expect(notWritten(present, wanted).map(({ sentence }) => sentence)).toEqual([
      'Node n: spec.orchRefs is not written: it is derived from the core Node',
      'Node n: spec.addresses is not written: it is derived from the core Node',
      'Node n: spec.interfaces is not written: it is derived from the core Node',
      'Node n: status is not written: it is derived from the core Node',
      'Node n: the annotation projectcalico.org/ASNumber is not written: set spec.bgp.asNumber',
    ]);
    expect(notWritten(present, writable(present, wanted))).toEqual([]);
  });
});
