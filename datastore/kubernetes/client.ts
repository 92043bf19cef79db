/** Datastore over the Kubernetes API: typed verbs, and the stream that a reflector watches. */
import type { IncomingMessage } from 'node:http';
import type { Datastore, ListOptions, ObjectOf } from '../datastore.ts';
import { DatastoreError } from '../errors.ts';
import { type AnyResource, apiVersionOf, type ResourceDefinition } from '../schema/resource.ts';
import type { Endpoint } from './endpoint.ts';
import { openStream, sendRequest } from './transport.ts';

/** A page of a list. */
export interface Page {
  readonly items: readonly AnyResource[];
  readonly resourceVersion: string;
  readonly next: string | undefined;
}

export class KubernetesClient implements Datastore {
  readonly #endpoint: Endpoint;
  /** By group. */
  readonly #versions = new Map<string, string>();

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /** Where the API is, for messages. */
  get server(): string {
    return this.#endpoint.url.origin;
  }

  async get<D extends ResourceDefinition>(definition: D, name: string, namespace?: string) {
    try {
      const path = await this.#path(definition, namespace, name);
      return typed(definition, await sendRequest(this.#endpoint, { method: 'GET', path }));
    } catch (error) {
      if (error instanceof DatastoreError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  async list<D extends ResourceDefinition>(definition: D, options: ListOptions = {}) {
    const found: ObjectOf<D>[] = [];
    let token: string | undefined;
    do {
      const page = await this.listPage(definition, options, 500, token);
      for (const item of page.items) found.push(typed(definition, item));
      token = page.next;
    } while (token);
    return found;
  }

  async create<D extends ResourceDefinition>(definition: D, object: unknown) {
    const path = await this.#path(definition, (object as AnyResource).metadata.namespace);
    return typed(definition, await sendRequest(this.#endpoint, { method: 'POST', path, body: object }));
  }

  async update<D extends ResourceDefinition>(definition: D, object: ObjectOf<D>) {
    const { metadata } = object as unknown as AnyResource;
    const path = await this.#path(definition, metadata.namespace, metadata.name);
    return typed(definition, await sendRequest(this.#endpoint, { method: 'PUT', path, body: object }));
  }

  async patch<D extends ResourceDefinition>(
    definition: D,
    name: string,
    patch: object,
    options: { namespace?: string; isStatus?: boolean } = {},
  ) {
    const path =
      (await this.#path(definition, options.namespace, name)) + (options.isStatus ? '/status' : '');
    const contentType = 'application/merge-patch+json';
    return typed(
      definition,
      await sendRequest(this.#endpoint, { method: 'PATCH', path, body: patch, contentType }),
    );
  }

  async remove<D extends ResourceDefinition>(
    definition: D,
    name: string,
    options: { namespace?: string; uid?: string; resourceVersion?: string } = {},
  ): Promise<boolean> {
    const { namespace, ...preconditions } = options;
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions };
    try {
      await sendRequest(this.#endpoint, {
        method: 'DELETE',
        path: await this.#path(definition, namespace, name),
        body,
      });
      return true;
    } catch (error) {
      if (error instanceof DatastoreError && error.code === 'NOT_FOUND') return false;
      throw error;
    }
  }

  async #path(definition: ResourceDefinition, namespace?: string, name?: string): Promise<string> {
    return pathOf(definition, await this.#version(definition), namespace, name);
  }

  /** The newest version that the server has of a kind with several; asked once. */
  async #version({ group, version, olderVersions = [] }: ResourceDefinition): Promise<string> {
    if (olderVersions.length === 0) return version;
    const known = this.#versions.get(group);
    if (known) return known;
    const { versions } = (await sendRequest(this.#endpoint, {
      method: 'GET',
      path: `/apis/${group}`,
    })) as ApiGroup;
    const found = [version, ...olderVersions].find((one) => versions.some((has) => has.version === one));
    this.#versions.set(group, found ?? version);
    return found ?? version;
  }

  /** One page of a list, unparsed. */
  async listPage(
    definition: ResourceDefinition,
    options: ListOptions,
    limit: number,
    token: string | undefined,
    signal?: AbortSignal,
  ): Promise<Page> {
    const answer = (await sendRequest(this.#endpoint, {
      method: 'GET',
      path: await this.#path(definition, options.namespace),
      query: { ...selectors(options), limit: String(limit), continue: token },
      ...(signal ? { signal } : {}),
    })) as { metadata: { resourceVersion: string; continue?: string }; items: AnyResource[] };
    // Items of a list come without their type; put it back.
    const type = { apiVersion: apiVersionOf(definition), kind: definition.kind };
    return {
      items: answer.items.map((item) => ({ ...item, ...type })),
      resourceVersion: answer.metadata.resourceVersion,
      next: answer.metadata.continue || undefined,
    };
  }

  /** Opens a watch from a resourceVersion on. */
  async watchStream(
    definition: ResourceDefinition,
    options: ListOptions,
    resourceVersion: string,
    timeoutSeconds: number,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    return openStream(this.#endpoint, {
      method: 'GET',
      path: await this.#path(definition, options.namespace),
      query: {
        ...selectors(options),
        watch: '1',
        allowWatchBookmarks: 'true',
        resourceVersion,
        timeoutSeconds: String(timeoutSeconds),
      },
      signal,
    });
  }
}

/** Answer of `/apis/GROUP`. */
interface ApiGroup {
  readonly versions: readonly { readonly version: string }[];
}

function selectors({ labelSelector, fieldSelector }: ListOptions) {
  return { labelSelector, fieldSelector };
}

function pathOf(definition: ResourceDefinition, version: string, namespace?: string, name?: string): string {
  const base = definition.group === '' ? '/api/v1' : `/apis/${definition.group}/${version}`;
  const scope = definition.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${base}${scope}/${definition.plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

/** Parses an answer with its schema. An object that the schema refuses is INVALID, with the field named. */
function typed<D extends ResourceDefinition>(definition: D, object: unknown): ObjectOf<D> {
  const result = definition.schema.safeParse(object);
  if (result.success) return result.data as ObjectOf<D>;
  const issue = result.error.issues[0]!;
  const name = (object as AnyResource | undefined)?.metadata?.name;
  throw new DatastoreError(
    'INVALID',
    `${definition.kind} ${name}: ${issue.path.join('.')}: ${issue.message}`,
  );
}
