/** Datastore over the Kubernetes API: typed verbs, and the stream for an informer. */
import type { Readable } from 'node:stream';
import type {
  Datastore,
  Listing,
  ListOptions,
  ListWatch,
  ObjectOf,
  Page,
  RawDatastore,
} from '../datastore.ts';
import { DatastoreError } from '../errors.ts';
import { fieldPath } from '../field-path.ts';
import type { ObjectProblem } from '../object-problem.ts';
import { identityOf, readObject } from '../read-object.ts';
import { type AnyResource, apiVersionOf, type ResourceDefinition } from '../schema/resource.ts';
import { schemaSentence } from '../schema-sentences.ts';
import type { ApiServerAddress } from './api-server-address.ts';
import type { RequestObserver } from './request-kind.ts';
import { type ApiRequest, openStream, sendRequest } from './transport.ts';

export class KubernetesClient implements Datastore, RawDatastore, ListWatch {
  readonly #address: ApiServerAddress;
  readonly #unreadable: (problem: ObjectProblem) => void;
  readonly #observe: RequestObserver | undefined;
  /** API version by group. */
  readonly #versions = new Map<string, string>();

  /** `unreadable` is called for each object with a fault in a list; `observe` for each response. */
  constructor(
    address: ApiServerAddress,
    listeners: { unreadable?: (problem: ObjectProblem) => void; observe?: RequestObserver } = {},
  ) {
    this.#address = address;
    this.#unreadable = listeners.unreadable ?? (() => undefined);
    this.#observe = listeners.observe;
  }

  /** Origin of the API server, for messages. */
  get server(): string {
    return this.#address.url.origin;
  }

  async get<D extends ResourceDefinition>(definition: D, name: string, namespace?: string) {
    const object = await this.raw(definition, name, namespace);
    return object === undefined ? undefined : typed(definition, object);
  }

  async raw(definition: ResourceDefinition, name: string, namespace?: string): Promise<unknown> {
    try {
      return await this.#send({ method: 'GET', path: await this.#path(definition, namespace, name) });
    } catch (error) {
      if (error instanceof DatastoreError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  async rawList(definition: ResourceDefinition, options: ListOptions = {}): Promise<unknown[]> {
    const items: unknown[] = [];
    let token: string | undefined;
    do {
      const page = await this.listPage(definition, options, 500, token);
      for (const item of page.items) items.push(item);
      token = page.next;
    } while (token);
    return items;
  }

  async list<D extends ResourceDefinition>(definition: D, options: ListOptions = {}) {
    return (await this.listing(definition, options)).items;
  }

  async listing<D extends ResourceDefinition>(definition: D, options: ListOptions = {}): Promise<Listing<D>> {
    const items: ObjectOf<D>[] = [];
    const problems: ObjectProblem[] = [];
    for (const raw of await this.rawList(definition, options)) {
      const { object, problem } = readObject(definition, raw);
      if (object !== undefined) items.push(object);
      if (!problem) continue;
      const { name = '(no name)', namespace } = identityOf(raw) ?? {};
      const full = { kind: definition.kind, name, ...(namespace ? { namespace } : {}), ...problem };
      problems.push(full);
      this.#unreadable(full);
    }
    return { items, problems };
  }

  async create<D extends ResourceDefinition>(definition: D, object: unknown) {
    const path = await this.#path(definition, (object as AnyResource).metadata.namespace);
    return typed(definition, await this.#send({ method: 'POST', path, body: object }));
  }

  async update<D extends ResourceDefinition>(definition: D, object: ObjectOf<D>) {
    const { metadata } = object as unknown as AnyResource;
    const path = await this.#path(definition, metadata.namespace, metadata.name);
    return typed(definition, await this.#send({ method: 'PUT', path, body: object }));
  }

  async rawUpdate(definition: ResourceDefinition, object: AnyResource): Promise<void> {
    const { name, namespace } = object.metadata;
    await this.#send({ method: 'PUT', path: await this.#path(definition, namespace, name), body: object });
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
    return typed(definition, await this.#send({ method: 'PATCH', path, body: patch, contentType }));
  }

  /** Applies a merge patch to the status of an object that may be unreadable. Throws DatastoreError. */
  async patchStatus(definition: ResourceDefinition, name: string, status: object): Promise<void> {
    await this.#send({
      method: 'PATCH',
      path: `${await this.#path(definition, undefined, name)}/status`,
      body: { status },
      contentType: 'application/merge-patch+json',
    });
  }

  async remove<D extends ResourceDefinition>(
    definition: D,
    name: string,
    options: { namespace?: string; uid?: string; resourceVersion?: string } = {},
  ): Promise<boolean> {
    const { namespace, ...preconditions } = options;
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions };
    try {
      await this.#send({
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

  /** Returns the server's Kubernetes version, such as [1, 31]; undefined when it is not of that form. */
  async serverVersion(): Promise<readonly [number, number] | undefined> {
    const answer = await this.#send({ method: 'GET', path: '/version' });
    const { major, minor } = (answer ?? {}) as { major?: unknown; minor?: unknown };
    // Some distributions write `31+`.
    const numbers = [major, minor].map((text) => Number.parseInt(String(text), 10));
    return numbers.every(Number.isInteger) ? [numbers[0]!, numbers[1]!] : undefined;
  }

  #send(request: ApiRequest): Promise<unknown> {
    return sendRequest(this.#address, { ...request, observe: this.#observe });
  }

  async #path(definition: ResourceDefinition, namespace?: string, name?: string): Promise<string> {
    return pathOf(definition, await this.#version(definition), namespace, name);
  }

  /** Returns the newest API version of the kind that the server supports. Queries the server once per group. */
  async #version({ group, version, olderVersions = [] }: ResourceDefinition): Promise<string> {
    if (olderVersions.length === 0) return version;
    const known = this.#versions.get(group);
    if (known) return known;
    const answer = await this.#send({ method: 'GET', path: `/apis/${group}` });
    const { versions } = (answer ?? {}) as Partial<ApiGroup>;
    if (!Array.isArray(versions))
      throw new DatastoreError(
        'UNAVAILABLE',
        `${this.#address.url.origin}: the response is not an API group`,
      );
    const found = [version, ...olderVersions].find((one) => versions.some((has) => has?.version === one));
    this.#versions.set(group, found ?? version);
    return found ?? version;
  }

  /** Returns a page of a list, without validation. */
  async listPage(
    definition: ResourceDefinition,
    options: ListOptions,
    limit: number,
    token: string | undefined,
    signal?: AbortSignal,
  ): Promise<Page> {
    const answer = await this.#send({
      method: 'GET',
      path: await this.#path(definition, options.namespace),
      query: { ...selectors(options), limit: String(limit), continue: token },
      ...(signal ? { signal } : {}),
    });
    const { metadata, items } = (answer ?? {}) as { metadata?: unknown; items?: unknown };
    const { resourceVersion, continue: next } = (metadata ?? {}) as Record<string, unknown>;
    // A list without elements may be null.
    if ((items !== null && !Array.isArray(items)) || !['string', 'number'].includes(typeof resourceVersion))
      throw new DatastoreError(
        'UNAVAILABLE',
        `${this.#address.url.origin}: the response is not a list of ${definition.plural}`,
      );
    // Items of a list come without their type: add it.
    const type = { apiVersion: apiVersionOf(definition), kind: definition.kind };
    return {
      items: ((items ?? []) as unknown[]).map((item) =>
        typeof item === 'object' && item !== null ? { ...item, ...type } : item,
      ),
      resourceVersion: String(resourceVersion),
      next: typeof next === 'string' && next !== '' ? next : undefined,
    };
  }

  /** Opens a watch that starts at a resourceVersion. */
  async watchStream(
    definition: ResourceDefinition,
    options: ListOptions,
    resourceVersion: string,
    timeoutSeconds: number,
    signal: AbortSignal,
  ): Promise<Readable> {
    const stream = await openStream(this.#address, {
      observe: this.#observe,
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
    return stream.setEncoding('utf8');
  }
}

/** Response of `/apis/GROUP`. */
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

/**
 * Parses a response by its schema. An object that may be written back must be readable in full, so one that the schema
 * rejects is INVALID, with the name of the field.
 */
function typed<D extends ResourceDefinition>(definition: D, object: unknown): ObjectOf<D> {
  const result = definition.schema.safeParse(object, { error: schemaSentence });
  if (result.success) return result.data as ObjectOf<D>;
  const issue = result.error.issues[0]!;
  const { name = '(no name)' } = identityOf(object) ?? {};
  throw new DatastoreError(
    'INVALID',
    `${definition.kind} ${name}: ${fieldPath(issue.path)}: ${issue.message}`,
  );
}
