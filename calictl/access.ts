/** calictl's access to the objects of a kind: as stored in the API, or derived from core objects. */
import type { z } from 'zod';
import type { Datastore, RawDatastore } from '../datastore/datastore.ts';
import { DatastoreError } from '../datastore/errors.ts';
import { describeProblem } from '../datastore/object-problem.ts';
import { identityOf, readObject } from '../datastore/read-object.ts';
import { nodeKind, podKind } from '../datastore/schema/core.ts';
import { ipPoolKind } from '../datastore/schema/ip-pool.ts';
import { type AnyResource, CALICO_GROUP, type ResourceDefinition } from '../datastore/schema/resource.ts';
import { type CalicoNode, calicoNodeKind } from './calico-node.ts';
import { calicoNodeOf, nodePatch, notWritten, writable } from './node-conversion.ts';
import { deletePool } from './pool-deletion.ts';
import { workloadEndpointKind, workloadEndpointOf } from './workload-endpoint.ts';

export type Store = Datastore & RawDatastore;

/** Every method may throw DatastoreError. */
export interface Access {
  /** Returns the stored object, not validated; undefined when there is no such object. */
  get(name: string, namespace: string | undefined): Promise<unknown>;
  /** Returns all objects, ordered by namespace and name; WorkloadEndpoints by the names of their Pods. */
  list(namespace: string | undefined): Promise<unknown[]>;
  create(object: AnyResource): Promise<void>;
  /** Merges a file's object into the stored one for a replacement: the server's own metadata stays. */
  merged(object: AnyResource, stored: AnyResource): AnyResource;
  /** Compare-and-swap on resourceVersion. */
  replace(object: AnyResource): Promise<void>;
  /** Returns false when there is no such object. */
  remove(name: string, namespace: string | undefined): Promise<boolean>;
}

/** Returns the access to a kind. `note` receives remarks of successful commands, a sentence each. */
export function accessTo(
  store: Store,
  definition: ResourceDefinition,
  note: (sentence: string) => void,
): Access {
  if (definition.kind === calicoNodeKind.kind && definition.group === CALICO_GROUP) return nodes(store, note);
  if (definition.kind === workloadEndpointKind.kind) return workloadEndpoints(store);
  if (definition === ipPoolKind)
    return { ...plain(store, definition), remove: (name) => removePool(store, name, note) };
  return plain(store, definition);
}

function plain(store: Store, definition: ResourceDefinition): Access {
  const placed = (namespace: string | undefined) => (namespace === undefined ? {} : { namespace });
  return {
    get: (name, namespace) => store.raw(definition, name, namespace),
    list: async (namespace) => (await store.rawList(definition, placed(namespace))).toSorted(byName),
    async create(object) {
      const { resourceVersion: _, uid: __, creationTimestamp: ___, ...metadata } = object.metadata;
      await store.create(definition, { ...object, metadata });
    },
    merged: (object, stored) =>
      definition.group === CALICO_GROUP ? replacing(object, stored) : adding(object, stored),
    replace: (object) => store.rawUpdate(definition, object),
    remove: (name, namespace) => store.remove(definition, name, placed(namespace)),
  };
}

/** Merges Calico's kinds: labels and annotations come from the file. Finalizers and owners stay. */
function replacing(object: AnyResource, stored: AnyResource): AnyResource {
  const { labels, annotations } = object.metadata;
  return { ...object, metadata: { ...stored.metadata, labels, annotations } };
}

/** Merges core kinds: other programs also write labels and annotations, so those that the file lacks stay. */
function adding(object: AnyResource, stored: AnyResource): AnyResource {
  const labels = { ...stored.metadata.labels, ...object.metadata.labels };
  const annotations = { ...stored.metadata.annotations, ...object.metadata.annotations };
  return { ...object, metadata: { ...stored.metadata, labels, annotations } };
}

function nodes(store: Store, note: (sentence: string) => void): Access {
  /** Returns the Node, or why it cannot be read. */
  const shown = (raw: unknown): CalicoNode | string => {
    const { object: node, problem = { reason: 'it cannot be read' } } = readObject(nodeKind, raw);
    if (!node)
      return describeProblem({ kind: 'Node', name: identityOf(raw)?.name ?? '(no name)', ...problem });
    const { object, problems } = calicoNodeOf(node);
    for (const one of problems) note(describeProblem(one));
    return object;
  };
  return {
    async get(name) {
      const raw = await store.raw(nodeKind, name);
      const node = raw === undefined ? undefined : shown(raw);
      if (typeof node === 'string') throw new DatastoreError('INVALID', node);
      return node;
    },
    async list() {
      const nodes = (await store.rawList(nodeKind)).toSorted(byName).map(shown);
      for (const node of nodes) if (typeof node === 'string') note(node);
      return nodes.filter((node) => typeof node !== 'string');
    },
    create: () => refuse('kubelets create Nodes: start a kubelet, or apply to an existing Node'),
    merged(object, stored) {
      const [wanted, present] = [parsed(calicoNodeKind, object), parsed(calicoNodeKind, stored)];
      if (!wanted || !present) return object;
      for (const { sentence } of notWritten(present, wanted)) note(sentence);
      return adding(writable(present, wanted), stored);
    },
    async replace(object) {
      const wanted = parsed(calicoNodeKind, object);
      const node = parsed(nodeKind, await store.raw(nodeKind, object.metadata.name));
      if (!wanted || !node) throw missing('Node', object.metadata.name);
      const { resourceVersion } = wanted.metadata;
      if (resourceVersion !== undefined && resourceVersion !== node.metadata.resourceVersion)
        throw new DatastoreError(
          'CONFLICT',
          'the object has been modified: get it again and repeat the change',
        );
      const [refused] = notWritten(calicoNodeOf(node).object, wanted);
      if (refused) throw new DatastoreError('FORBIDDEN', refused.sentence);
      const patch = nodePatch(node, wanted);
      // As calicoctl: RBAC often permits changes of a Node's annotations only through its status.
      const isStatus = Object.keys(patch.metadata.labels).length === 0;
      await store.patch(nodeKind, object.metadata.name, patch, { isStatus });
    },
    remove: (name) =>
      refuse(`Kubernetes deletes Nodes: run kubectl delete node ${name}, then Cali frees its addresses`),
  };
}

/** Deletes a pool. One in use stays until its addresses are free. */
async function removePool(store: Store, name: string, note: (sentence: string) => void): Promise<boolean> {
  const deletion = await deletePool(store, name);
  if (deletion.note !== undefined) note(deletion.note);
  return deletion.isRemoved;
}

function workloadEndpoints(store: Store): Access {
  const list = async (namespace: string | undefined) =>
    (await store.list(podKind, namespace === undefined ? {} : { namespace }))
      .toSorted(byName)
      .flatMap((pod) => workloadEndpointOf(pod) ?? []);
  const readOnly = () => refuse('a WorkloadEndpoint is derived from its Pod: change the Pod with kubectl');
  return {
    async get(name, namespace) {
      return (await list(namespace)).find(({ metadata }) => metadata.name === name);
    },
    list,
    create: readOnly,
    merged: (object) => object,
    replace: readOnly,
    remove: readOnly,
  };
}

/** Parses a value; undefined when the schema rejects it. */
function parsed<S extends z.ZodType>(
  { schema }: ResourceDefinition<S>,
  raw: unknown,
): z.output<S> | undefined {
  const result = schema.safeParse(raw);
  return result.success ? result.data : undefined;
}

/** Orders objects by namespace and name, as etcd does. An object without a name comes first. */
function byName(a: unknown, b: unknown): number {
  const [left, right] = [keyOf(a), keyOf(b)];
  return left < right ? -1 : Number(left > right);
}

function keyOf(raw: unknown): string {
  const { namespace = '', name = '' } = identityOf(raw) ?? {};
  return `${namespace}/${name}`;
}

export function missing(kind: string, name: string): DatastoreError {
  return new DatastoreError('NOT_FOUND', `resource does not exist: ${kind}(${name})`);
}

async function refuse(sentence: string): Promise<never> {
  throw new DatastoreError('FORBIDDEN', sentence);
}
