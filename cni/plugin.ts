/**
 * The CNI plugin inside the agent: ADD, DEL, CHECK, STATUS, GC and VERSION. ADD succeeds only when everything is done,
 * and cleans up after itself when it fails. DEL may be called at any time, any number of times, and succeeds
 * eventually.
 */
import type { Datastore } from '../datastore/datastore.ts';
import { DatastoreError } from '../datastore/errors.ts';
import {
  type Namespace,
  namespaceKind,
  type Pod,
  podAnnotations,
  podKind,
} from '../datastore/schema/core.ts';
import { type AddressSource, type AssignRequest, IpamError } from '../ipam/address-source.ts';
import type { InsidePool } from '../kernel/inside-pool.ts';
import type { IpSession } from '../kernel/ip-session.ts';
import { observeKernel } from '../kernel/state.ts';
import { type Family, familyOf, hostCidr } from '../lib/cidr.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { KeyedMutex } from '../lib/mutex.ts';
import { printable } from '../lib/plain-text.ts';
import { containerInterfaceName, type Endpoint, podInterfaceName, podMac } from '../model/endpoint.ts';
import type { Ownership } from '../model/route-ownership.ts';
import { type Attachment, parseAttachment } from './attachment.ts';
import type { EndpointStore } from './endpoint-store.ts';
import { layWire, tearDownEndpoint, type Wire, type Wiring } from './network.ts';
import { type AnnotationRequest, readAnnotations } from './pod-annotations.ts';
import { resultOf } from './result.ts';
import {
  CniCode,
  CniError,
  type CniRequest,
  type NetworkConfiguration,
  parseNetwork,
  supportedVersions,
} from './types.ts';

export interface PluginOptions {
  readonly node: string;
  /** MTU of new pods, unless the network configuration sets one. */
  readonly mtu: () => number;
  /** Families of the node's addresses: by default, pods get addresses of the same families. */
  readonly families: () => readonly Family[];
  /** Protocol numbers of our routes, and how to recognize these routes. */
  readonly routes: () => Ownership;
  /** Why the plugin cannot serve pods now; undefined when it can. */
  readonly notReady: () => string | undefined;
}

export interface PluginModules {
  readonly store: Datastore;
  readonly ipam: AddressSource;
  /** This node's pods, and namespaces, from the watches. */
  readonly known: {
    pod(namespace: string, name: string): Pod | undefined;
    namespace(name: string): Namespace | undefined;
  };
  readonly endpoints: EndpointStore;
  readonly inside: InsidePool;
  readonly session: IpSession;
  readonly log: Log;
  readonly observe: (command: string, seconds: number, isOk: boolean) => void;
}

/** The runtime's answer: standard output and exit status. */
export interface CniAnswer {
  readonly exitCode: number;
  readonly output: string;
}

/** The pod's properties that an ADD needs. */
interface Ask {
  readonly annotations: AnnotationRequest;
  readonly namespaceLabels: Readonly<Record<string, string>>;
}

/** Commands of the specification. Metrics count all others as one series. */
const commands: ReadonlySet<string> = new Set(['ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION']);

export class Plugin {
  readonly #options: PluginOptions;
  readonly #modules: PluginModules;
  readonly #perContainer = new KeyedMutex();
  readonly #adding = new Set<string>();
  /** Interfaces that an ADD in progress is creating, and the ADD's container. */
  readonly #claims = new Map<string, string>();

  constructor(options: PluginOptions, modules: PluginModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** Handles of ADDs in progress. */
  get adding(): ReadonlySet<string> {
    return this.#adding;
  }

  /** Serves one call. Never rejects. */
  async handle(request: CniRequest): Promise<CniAnswer> {
    const command = printable(request.environment['CNI_COMMAND'] ?? '', 50);
    const name = commands.has(command) ? command : 'unknown';
    const startedAt = performance.now();
    const answer = await this.#answer(command, request);
    try {
      this.#modules.observe(name, (performance.now() - startedAt) / 1000, answer.exitCode === 0);
    } catch (error) {
      // The command has run: answer the runtime regardless.
      this.#modules.log.error({ err: error }, 'CNI metrics not updated');
    }
    return answer;
  }

  async #answer(command: string, request: CniRequest): Promise<CniAnswer> {
    let version = '1.0.0';
    try {
      if (command !== 'VERSION') version = parseNetwork(request.stdin).cniVersion;
      const output = await this.#dispatch(command, request);
      return { exitCode: 0, output: output ? JSON.stringify(output) : '' };
    } catch (error) {
      const failure = asCniError(error);
      const pod = /K8S_POD_NAME=([^;]*)/.exec(request.environment['CNI_ARGS'] ?? '')?.[1];
      this.#modules.log.warn({ command, pod, reason: failure.message }, 'CNI call failed');
      return { exitCode: 1, output: JSON.stringify(failure.toJson(version)) };
    }
  }

  async #dispatch(command: string, request: CniRequest): Promise<object | undefined> {
    switch (command) {
      case 'ADD': {
        const attachment = parseAttachment(request, true);
        const handleId = handleOf(attachment.network, attachment.containerId);
        this.#adding.add(handleId);
        return this.#perContainer
          .run(attachment.containerId, () => this.#add(attachment))
          .finally(() => this.#adding.delete(handleId));
      }
      case 'DEL': {
        const attachment = parseAttachment(request, false);
        return this.#perContainer.run(attachment.containerId, () => this.#delete(attachment));
      }
      case 'CHECK':
        return this.#check(parseAttachment(request, true));
      case 'STATUS':
        this.#assertReady(CniCode.PLUGIN_NOT_AVAILABLE);
        return undefined;
      case 'GC':
        return this.#collect(parseNetwork(request.stdin));
      case 'VERSION':
        return { cniVersion: '1.1.0', supportedVersions };
      default:
        throw new CniError(
          CniCode.INVALID_ENVIRONMENT,
          `CNI_COMMAND is "${command}": it must be ADD, DEL, CHECK, STATUS, GC or VERSION`,
        );
    }
  }

  async #add(attachment: Attachment): Promise<object> {
    this.#assertReady(CniCode.TRY_AGAIN_LATER);
    const { containerId, interfaceName, network, pod } = attachment;
    const { endpoints } = this.#modules;
    const known = endpoints.get(containerId, interfaceName);
    if (known) return resultOf(known, network.cniVersion);
    const hostInterface = pod
      ? podInterfaceName(pod.namespace, pod.name)
      : containerInterfaceName(containerId);
    const claimed = this.#claims.get(hostInterface);
    if (claimed !== undefined)
      throw new CniError(
        CniCode.TRY_AGAIN_LATER,
        `interface ${hostInterface} is being created for container ${claimed}: try again`,
      );
    this.#claims.set(hostInterface, containerId);
    try {
      return await this.#attach(attachment, hostInterface);
    } finally {
      this.#claims.delete(hostInterface);
    }
  }

  async #attach(attachment: Attachment, hostInterface: string): Promise<object> {
    const { containerId, interfaceName, network, pod } = attachment;
    const { endpoints, session, inside } = this.#modules;
    for (const former of endpoints.list()) {
      if (former.interfaceName !== hostInterface) continue;
      assertReplaceable(former, attachment);
      await this.#remove(former);
    }
    const handleId = handleOf(network, containerId);
    const ask = await this.#ask(pod);
    const families = ask.annotations.families ?? this.#families(network);
    const wiring: Wiring = {
      containerId,
      containerInterface: interfaceName,
      network: network.name,
      interfaceName: hostInterface,
      mac: ask.annotations.mac ?? podMac(containerId, interfaceName),
      mtu: network.mtu || this.#options.mtu(),
      netns: attachment.netns,
      ...(pod ? { namespace: pod.namespace, pod: pod.name } : {}),
    };
    // Creating the veth does not need the addresses.
    const [assigned, wired] = await Promise.allSettled([
      this.#assign(attachment, handleId, families, ask),
      layWire(wiring, families, { session, inside, routes: this.#options.routes() }),
    ]);
    try {
      if (wired.status === 'rejected') throw wired.reason;
      if (assigned.status === 'rejected') throw assigned.reason;
      const endpoint: Endpoint = { ...wiring, ...assigned.value };
      endpoints.set(endpoint);
      const done = await Promise.allSettled([
        wired.value.connect(endpoint.addresses),
        this.#annotate(endpoint),
      ]);
      for (const result of done) if (result.status === 'rejected') throw result.reason;
      endpoints.persist(endpoint);
      return resultOf(endpoint, network.cniVersion);
    } catch (error) {
      await this.#undo(
        wiring,
        handleId,
        wired.status === 'fulfilled' ? wired.value : undefined,
        assigned.status === 'fulfilled',
      );
      throw error;
    }
  }

  /** Rolls back a failed ADD. DEL removes what this cannot. */
  async #undo(
    { containerId, containerInterface }: Wiring,
    handleId: string,
    wire: Wire | undefined,
    isAssigned: boolean,
  ): Promise<void> {
    const { endpoints, ipam, log } = this.#modules;
    const endpoint = endpoints.get(containerId, containerInterface);
    if (endpoint) await endpoints.remove(endpoint);
    const undone = await Promise.allSettled([
      wire?.discard(),
      isAssigned ? ipam.releaseHandle(handleId) : undefined,
    ]);
    for (const result of undone)
      if (result.status === 'rejected')
        log.warn({ reason: messageOf(result.reason) }, 'rolling back ADD failed');
  }

  /** Reads the annotations of the pod and its namespace. Throws CniError before anything is created. */
  async #ask(pod: Attachment['pod']): Promise<Ask> {
    if (!pod) return { annotations: readAnnotations(undefined, undefined), namespaceLabels: {} };
    const { store, known } = this.#modules;
    // The watches usually have them. When the runtime is faster than a watch, this costs a request.
    const [podObject, namespace] = await Promise.all([
      known.pod(pod.namespace, pod.name) ?? store.get(podKind, pod.name, pod.namespace),
      known.namespace(pod.namespace) ?? store.get(namespaceKind, pod.namespace),
    ]);
    if (!podObject) {
      throw new CniError(
        CniCode.UNKNOWN_CONTAINER,
        `pod ${pod.namespace}/${pod.name} does not exist in the API: it was deleted meanwhile`,
      );
    }
    return {
      annotations: readAnnotations(podObject, namespace),
      namespaceLabels: namespace?.metadata.labels ?? {},
    };
  }

  async #assign(
    { network, containerId, pod }: Attachment,
    handleId: string,
    families: readonly Family[],
    { annotations: asked, namespaceLabels }: Ask,
  ): Promise<Pick<Endpoint, 'addresses' | 'allowedSourcePrefixes'>> {
    const request: AssignRequest = {
      handleId,
      attributes: {
        node: this.#options.node,
        timestamp: new Date().toISOString(),
        ...(pod ? { namespace: pod.namespace, pod: pod.name } : { container: containerId }),
      },
      families,
      namespaceLabels,
      pools: {
        4: asked.pools[4] ?? network.ipam?.ipv4_pools ?? [],
        6: asked.pools[6] ?? network.ipam?.ipv6_pools ?? [],
      },
      ...(asked.addresses ? { addresses: asked.addresses } : {}),
    };
    const addresses = await this.#modules.ipam.assign(request);
    const { allowedSourcePrefixes } = asked;
    return { addresses, ...(allowedSourcePrefixes ? { allowedSourcePrefixes } : {}) };
  }

  #families({ ipam }: NetworkConfiguration): Family[] {
    const has = (value: boolean | string | undefined, family: Family) =>
      value === undefined ? this.#options.families().includes(family) : String(value) === 'true';
    const families: Family[] = [];
    if (has(ipam?.assign_ipv4, 4)) families.push(4);
    if (has(ipam?.assign_ipv6, 6)) families.push(6);
    return families;
  }

  async #delete({ containerId, interfaceName, network }: Attachment): Promise<undefined> {
    const endpoint = this.#modules.endpoints.get(containerId, interfaceName);
    if (endpoint) await this.#remove(endpoint);
    // The endpoint can be unknown: an ADD may have died after assigning addresses and before storing the endpoint.
    else await this.#modules.ipam.releaseHandle(handleOf(network, containerId));
    return undefined;
  }

  /** Removes the interface first, so that the pod is silent before IPAM assigns its address again; the file last. */
  async #remove(endpoint: Endpoint): Promise<void> {
    // Files can name one interface for two endpoints; the other endpoint's pod may be running.
    const isShared = this.#modules.endpoints
      .list()
      .some(
        (one) => one.interfaceName === endpoint.interfaceName && one.containerId !== endpoint.containerId,
      );
    if (!isShared) await tearDownEndpoint(endpoint.interfaceName);
    await this.#modules.ipam.releaseHandle(handleOf({ name: endpoint.network }, endpoint.containerId));
    await Promise.all([this.#modules.endpoints.remove(endpoint), this.#clearAnnotation(endpoint)]);
  }

  async #check({ containerId, interfaceName, netns }: Attachment): Promise<undefined> {
    const endpoint = this.#modules.endpoints.get(containerId, interfaceName);
    if (!endpoint) {
      throw new CniError(
        CniCode.UNKNOWN_CONTAINER,
        `container ${containerId} has no ${interfaceName} on this node: ADD it first`,
      );
    }
    const kernel = await observeKernel([...new Set(endpoint.addresses.map(familyOf))]);
    const problems: string[] = [];
    if (!kernel.links.get(endpoint.interfaceName)?.isUp)
      problems.push(`interface ${endpoint.interfaceName} is not up`);
    for (const address of endpoint.addresses) {
      const route = kernel.routes.find(({ destination }) => destination === hostCidr(address));
      if (route?.hops[0]?.device !== endpoint.interfaceName)
        problems.push(`no route to ${address} through ${endpoint.interfaceName}`);
    }
    if (netns !== endpoint.netns)
      problems.push(`CNI_NETNS is ${netns}, but the container was added in ${endpoint.netns}`);
    if (problems.length > 0) throw new CniError(CniCode.CHECK_FAILED, problems.join('; '));
    return undefined;
  }

  /** Removes attachments of this network that the runtime no longer lists (CNI 1.1.0). */
  async #collect(network: NetworkConfiguration): Promise<undefined> {
    const attachments = network['cni.dev/valid-attachments'];
    // Treating a missing list as empty would remove every pod's network.
    if (!attachments)
      throw new CniError(
        CniCode.INVALID_NETWORK_CONFIG,
        'network configuration: GC needs the list cni.dev/valid-attachments, which the container runtime must pass',
      );
    const valid = new Set(attachments.map(({ containerID, ifname }) => `${containerID}/${ifname}`));
    for (const endpoint of this.#modules.endpoints.list()) {
      if (
        endpoint.network !== network.name ||
        valid.has(`${endpoint.containerId}/${endpoint.containerInterface}`)
      )
        continue;
      await this.#perContainer.run(endpoint.containerId, () => this.#remove(endpoint));
    }
    return undefined;
  }

  /** Writes the pod's addresses to Calico's annotations (Calico C-015). */
  async #annotate({ namespace, pod, addresses, containerId }: Endpoint): Promise<void> {
    if (!namespace || !pod) return;
    const hosts = addresses.map(hostCidr);
    const annotations = {
      [podAnnotations.podIP]: hosts[0] ?? '',
      [podAnnotations.podIPs]: hosts.join(','),
      [podAnnotations.containerID]: containerId,
    };
    await this.#modules.store.patch(
      podKind,
      pod,
      { metadata: { annotations } },
      { namespace, isStatus: true },
    );
  }

  /** Empties the annotations, meaning "released". Does nothing if a later container of the pod has written its ID. */
  async #clearAnnotation({ namespace, pod, containerId }: Endpoint): Promise<void> {
    if (!namespace || !pod) return;
    const { store, log } = this.#modules;
    try {
      const object = await store.get(podKind, pod, namespace);
      if (object?.metadata.annotations?.[podAnnotations.containerID] !== containerId) return;
      const annotations = { [podAnnotations.podIP]: '', [podAnnotations.podIPs]: '' };
      await store.patch(podKind, pod, { metadata: { annotations } }, { namespace, isStatus: true });
    } catch (error) {
      // The pod is being deleted; a stale annotation must not delay that.
      log.debug({ pod, reason: messageOf(error) }, 'annotation not cleared');
    }
  }

  #assertReady(code: CniCode): void {
    const reason = this.#options.notReady();
    if (reason) throw new CniError(code, `cali-node on ${this.#options.node} is not ready: ${reason}`);
  }
}

/**
 * Checks that an endpoint with the same interface name may be replaced: only that of a former container of the same
 * pod. Interface names hold 44 bits of a hash, so those of two pods can collide, and a container can request a second
 * interface. Neither may break a working pod. Throws CniError.
 */
export function assertReplaceable(
  former: Endpoint,
  { containerId, interfaceName, pod }: Pick<Attachment, 'containerId' | 'interfaceName' | 'pod'>,
): void {
  const isSamePod = pod
    ? former.namespace === pod.namespace && former.pod === pod.name
    : former.pod === undefined && former.containerId === containerId;
  if (isSamePod && (former.containerId !== containerId || former.containerInterface === interfaceName))
    return;
  const holder = former.pod ? `pod ${former.namespace}/${former.pod}` : `container ${former.containerId}`;
  const remedy = isSamePod ? 'a pod can have only one interface' : 'delete it, or give this pod another name';
  throw new CniError(
    CniCode.NETWORK_SETUP,
    `interface ${former.interfaceName} belongs to ${holder} (${former.containerInterface}): ${remedy}`,
  );
}

/** Returns IPAM's handle for the addresses of an attachment. */
export function handleOf({ name }: { name: string }, containerId: string): string {
  return `${name}.${containerId}`;
}

function asCniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  if (error instanceof IpamError) return new CniError(CniCode.ADDRESS_UNAVAILABLE, error.message);
  if (error instanceof DatastoreError) {
    const isTemporary = error.code === 'UNAVAILABLE' || error.code === 'CONFLICT';
    return new CniError(
      isTemporary ? CniCode.TRY_AGAIN_LATER : CniCode.IO_FAILURE,
      `datastore: ${error.message}`,
    );
  }
  return new CniError(CniCode.NETWORK_SETUP, messageOf(error));
}
