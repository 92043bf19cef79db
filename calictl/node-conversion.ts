/** Converts between the core Node and Calico's Node: reads annotations into fields, and creates patches from fields. */
import { isDeepStrictEqual } from 'node:util';
import type { ObjectProblem } from '../datastore/object-problem.ts';
import type { Node } from '../datastore/schema/core.ts';
import { CALICO_GROUP } from '../datastore/schema/resource.ts';
import { Annotations } from '../model/node-annotations.ts';
import { annotationsOf, type CalicoNode, nodeFields } from './calico-node.ts';

const owned = new Set(nodeFields.map(({ annotation }) => annotation));
/** Fields of the spec that are derived from the core Node. */
const derived = ['orchRefs', 'addresses', 'interfaces'] as const;

/** Converts a core Node to Calico's Node. Also returns the faults of annotations that count as absent. */
export function calicoNodeOf(node: Node): { object: CalicoNode; problems: readonly ObjectProblem[] } {
  const { metadata } = node;
  const texts = metadata.annotations ?? {};
  const annotations = new Annotations({ kind: 'Node', name: metadata.name }, texts);
  const bgp: Record<string, unknown> = {};
  const others: Record<string, unknown> = {};
  for (const { path, read } of nodeFields) {
    const value = read(annotations);
    if (value === undefined) continue;
    const isBgp = path.startsWith('spec.bgp.');
    (isBgp ? bgp : others)[path.slice(path.lastIndexOf('.') + 1)] = value;
  }
  const foreign = Object.entries(texts).filter(([key]) => !owned.has(key));
  const { uid, resourceVersion, creationTimestamp, labels } = metadata;
  const podCIDRs = node.spec.podCIDRs ?? (node.spec.podCIDR === undefined ? [] : [node.spec.podCIDR]);
  const object: CalicoNode = {
    apiVersion: `${CALICO_GROUP}/v3`,
    kind: 'Node',
    metadata: {
      name: metadata.name,
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(creationTimestamp ? { creationTimestamp } : {}),
      ...(labels ? { labels } : {}),
      ...(foreign.length > 0 ? { annotations: Object.fromEntries(foreign) } : {}),
    },
    spec: {
      addresses: addressesOf(node, bgp),
      ...(Object.keys(bgp).length > 0 ? { bgp } : {}),
      ...others,
      orchRefs: [{ nodeName: metadata.name, orchestrator: 'k8s' }],
    },
    ...(podCIDRs.length > 0 ? { status: { podCIDRs } } : {}),
  };
  const problems = [...annotations.problems, ...labelsOfCalicoctl(metadata.name, texts)];
  return { object, problems };
}

/** Annotation for calicoctl's labels of Nodes. Cali ignores it: annotations must not affect selectors. */
const LABELS_OF_CALICOCTL = 'projectcalico.org/labels';

function labelsOfCalicoctl(name: string, texts: Readonly<Record<string, string>>): ObjectProblem[] {
  if (!Object.hasOwn(texts, LABELS_OF_CALICOCTL)) return [];
  return [
    {
      kind: 'Node',
      name,
      field: `metadata.annotations[${LABELS_OF_CALICOCTL}]`,
      reason: 'calicoctl stores labels here, but Cali does not read them: set them with calictl label',
    },
  ];
}

function addressesOf(node: Node, bgp: Readonly<Record<string, unknown>>) {
  const own = [bgp['ipv4Address'], bgp['ipv6Address']].filter((address) => address !== undefined);
  const reported = (node.status.addresses ?? []).filter(
    ({ type }) => type === 'InternalIP' || type === 'ExternalIP',
  );
  return [
    ...own.map((address) => ({ address, type: 'CalicoNodeIP' })),
    ...reported.map(({ address, type }) => ({ address, type })),
  ];
}

/** New values of labels or annotations; null removes one. */
type Changes = Readonly<Record<string, string | null>>;

export interface NodePatch {
  readonly metadata: {
    readonly resourceVersion?: string;
    readonly labels: Changes;
    readonly annotations: Changes;
  };
}

/**
 * Returns the merge patch (RFC 7396) that changes the core Node to `wanted`. It removes labels and annotations that
 * `wanted` lacks. Annotations of spec fields depend only on the spec.
 */
export function nodePatch(node: Node, wanted: CalicoNode): NodePatch {
  const texts = node.metadata.annotations ?? {};
  const target = {
    ...foreignOf(wanted.metadata.annotations ?? {}),
    ...annotationsOf(node.metadata.name, wanted.spec),
  };
  return {
    metadata: {
      ...(node.metadata.resourceVersion === undefined
        ? {}
        : { resourceVersion: node.metadata.resourceVersion }),
      labels: changes(node.metadata.labels ?? {}, wanted.metadata.labels ?? {}),
      annotations: changes(texts, target),
    },
  };
}

function foreignOf(texts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).filter(([key]) => !owned.has(key)));
}

function changes(
  present: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
): Changes {
  const gone = Object.keys(present).filter((key) => !Object.hasOwn(wanted, key));
  return Object.fromEntries([
    ...gone.map((key) => [key, null]),
    ...Object.entries(wanted).filter(
      ([key, value]) => !Object.hasOwn(present, key) || present[key] !== value,
    ),
  ]);
}

/** A part of `wanted` that no write can change, with a sentence for the user. */
interface NotWritten {
  readonly sentence: string;
}

/** Returns the parts of `wanted` that differ from `present` or are misplaced, and that no write can change. */
export function notWritten(present: CalicoNode, wanted: CalicoNode): NotWritten[] {
  const name = `Node ${present.metadata.name}`;
  const differs = (a: unknown, b: unknown) => a !== undefined && !isDeepStrictEqual(a, b);
  const fields: string[] = derived
    .filter((field) => differs(wanted.spec[field], present.spec[field]))
    .map((field) => `spec.${field}`);
  if (differs(wanted.status, present.status)) fields.push('status');
  const misplaced = Object.keys(wanted.metadata.annotations ?? {}).filter((key) => owned.has(key));
  return [
    ...fields.map((field) => ({
      sentence: `${name}: ${field} is not written: it is derived from the core Node`,
    })),
    ...misplaced.map((key) => {
      const field = nodeFields.find(({ annotation }) => annotation === key);
      return { sentence: `${name}: the annotation ${key} is not written: set ${field?.path}` };
    }),
  ];
}

/** Returns `wanted` without parts that cannot be written. */
export function writable(present: CalicoNode, wanted: CalicoNode): CalicoNode {
  const { orchRefs, addresses, interfaces } = present.spec;
  return {
    ...wanted,
    metadata: { ...wanted.metadata, annotations: foreignOf(wanted.metadata.annotations ?? {}) },
    spec: { ...wanted.spec, orchRefs, addresses, interfaces },
    status: present.status,
  };
}
