/**
 * The CNI plugin inside the agent: ADD, DEL, CHECK, STATUS, GC and VERSION. ADD succeeds only when everything is done,
 * and cleans up after itself when it fails. DEL may be called at any time, any number of times, and succeeds
 * eventually.
 */
import type { Datastore } from '../datastore/datastore.ts';
import { type Namespace, namespaceKind, type Pod, podKind } from '../datastore/schema/core.ts';
import type { AddressSource } from '../ipam/address-source.ts';
import type { Kernel } from '../kernel/port.ts';
import { type Family, familyOf } from '../lib/cidr.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { KeyedMutex } from '../lib/mutex.ts';
import { printable } from '../lib/plain-text.ts';
import type { Time } from '../lib/time.ts';
import { containerInterfaceName, type Endpoint, podInterfaceName, podMac } from '../model/endpoint.ts';
import type { Ownership } from '../model/route-ownership.ts';
import { writeAnnotations } from './address-annotations.ts';
import { type Ask, assignRequest, familiesOf, handleOf } from './assign-request.ts';
import { type Attachment, parseAttachment } from './attachment.ts';
import { checkProblems } from './check.ts';
import { assertReplaceable } from './collision.ts';
import type { EndpointStore } from './endpoint-store.ts';
import { cniErrorOf } from './failure.ts';
import { layWire, tearDownEndpoint, type Wire } from './network.ts';
import type { Wiring } from './network-plan.ts';
import { readAnnotations } from './pod-annotations.ts';
import { Removals } from './removals.ts';
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
  readonly kernel: Pick<Kernel, 'pods' | 'observe'>;
  readonly time: Pick<Time, 'now' | 'monotonic' | 'random' | 'after'>;
  readonly log: Log;
  readonly observe: (command: string, seconds: number, isOk: boolean) => void;
}

/** The runtime's answer: standard output and exit status. */
export interface CniAnswer {
  readonly exitCode: number;
  readonly output: string;
}

/** Commands of the specification. Metrics count all others as one series. */
const commands: ReadonlySet<string> = new Set(['ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION']);

export class Plugin {
  readonly #options: PluginOptions;
  readonly #modules: PluginModules;
  readonly #perContainer = new KeyedMutex();
  readonly #removals: Removals;
  readonly #adding = new Set<string>();
  /** Interfaces that an ADD in progress is creating, and the ADD's container. */
  readonly #claims = new Map<string, string>();

  constructor(options: PluginOptions, modules: PluginModules) {
    this.#options = options;
    this.#modules = modules;
    this.#removals = new Removals(modules);
  }

  /** Continues removals that an earlier agent began. Call it once. */
  resume(): void {
    this.#removals.resume();
  }

  /** Stops retries of removals. */
  close(): void {
    this.#removals.close();
  }

  /** Handles of ADDs in progress. */
  get adding(): ReadonlySet<string> {
    return this.#adding;
  }

  /** Serves one call. Never rejects. */
  async handle(request: CniRequest): Promise<CniAnswer> {
    const command = printable(request.environment['CNI_COMMAND'] ?? '', 50);
    const name = commands.has(command) ? command : 'unknown';
    const { time } = this.#modules;
    const startedAt = time.monotonic();
    const answer = await this.#answer(command, request);
    try {
      this.#modules.observe(name, (time.monotonic() - startedAt) / 1000, answer.exitCode === 0);
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
      const failure = cniErrorOf(error);
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
    const { containerId, interfaceName, network } = attachment;
    const { endpoints } = this.#modules;
    const known = endpoints.get(containerId, interfaceName);
    if (known) return resultOf(known, network.cniVersion);
    const hostInterface = hostInterfaceOf(attachment);
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
    const { store, endpoints, ipam, kernel, time } = this.#modules;
    for (const former of endpoints.list()) {
      if (former.interfaceName !== hostInterface) continue;
      assertReplaceable(former, attachment);
      await this.#removals.finish(former);
    }
    for (const former of endpoints.retired())
      if (former.interfaceName === hostInterface || former.containerId === containerId)
        await this.#removals.finish(former);
    const ask = await this.#ask(pod);
    const { annotations } = ask;
    const request = assignRequest(attachment, ask, {
      node: this.#options.node,
      families: familiesOf(network, this.#options.families()),
      now: new Date(time.now()),
    });
    const wiring: Wiring = {
      containerId,
      containerInterface: interfaceName,
      network: network.name,
      interfaceName: hostInterface,
      mac: annotations.mac ?? podMac(containerId, interfaceName),
      mtu: network.mtu || this.#options.mtu(),
      netns: attachment.netns,
      ...(pod ? { namespace: pod.namespace, pod: pod.name } : {}),
    };
    // Creating the veth does not need the addresses.
    const [assigned, wired] = await Promise.allSettled([
      ipam.assign(request),
      layWire(wiring, request.families, {
        kernel,
        random: () => time.random(),
        routes: this.#options.routes(),
      }),
    ]);
    try {
      if (wired.status === 'rejected') throw wired.reason;
      if (assigned.status === 'rejected') throw assigned.reason;
      const { allowedSourcePrefixes } = annotations;
      const endpoint: Endpoint = {
        ...wiring,
        addresses: assigned.value,
        ...(allowedSourcePrefixes ? { allowedSourcePrefixes } : {}),
      };
      endpoints.set(endpoint);
      const done = await Promise.allSettled([
        wired.value.connect(endpoint.addresses),
        writeAnnotations(store, endpoint),
      ]);
      for (const result of done) if (result.status === 'rejected') throw result.reason;
      endpoints.persist(endpoint);
      return resultOf(endpoint, network.cniVersion);
    } catch (error) {
      await this.#undo(
        wiring,
        request.handleId,
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
    const undone = await Promise.allSettled([
      endpoint && endpoints.remove(endpoint),
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

  async #delete(attachment: Attachment): Promise<undefined> {
    const { containerId, interfaceName } = attachment;
    const endpoint = this.#modules.endpoints.get(containerId, interfaceName);
    const retired = this.#modules.endpoints.retired().find(isOf(attachment));
    if (endpoint) await this.#removals.begin(endpoint);
    // The runtime repeats a DEL that failed, or whose answer it did not get.
    else if (retired) await this.#removals.finish(retired);
    // The endpoint can be unknown: an ADD may have died after assigning addresses and before storing the endpoint, or a
    // DEL before removing its file.
    else await this.#removeUnknown(attachment);
    return undefined;
  }

  async #removeUnknown(attachment: Attachment): Promise<void> {
    const { containerId, interfaceName: containerInterface, network } = attachment;
    const { endpoints, ipam, kernel } = this.#modules;
    const name = hostInterfaceOf(attachment);
    // Another container of the pod may have it, or be getting it.
    const isUsed = this.#claims.has(name) || endpoints.list().some((one) => one.interfaceName === name);
    if (!isUsed) await tearDownEndpoint(name, kernel.pods);
    await ipam.releaseHandle(handleOf(network, containerId));
    await endpoints.remove({ containerId, containerInterface });
  }

  async #check({ containerId, interfaceName, netns }: Attachment): Promise<undefined> {
    const endpoint = this.#modules.endpoints.get(containerId, interfaceName);
    if (!endpoint) {
      throw new CniError(
        CniCode.UNKNOWN_CONTAINER,
        `container ${containerId} has no ${interfaceName} on this node: ADD it first`,
      );
    }
    const kernel = await this.#modules.kernel.observe([...new Set(endpoint.addresses.map(familyOf))]);
    const problems = checkProblems(endpoint, netns, kernel);
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
    const { endpoints } = this.#modules;
    for (const endpoint of [...endpoints.list(), ...endpoints.retired()]) {
      if (
        endpoint.network !== network.name ||
        valid.has(`${endpoint.containerId}/${endpoint.containerInterface}`)
      )
        continue;
      await this.#perContainer.run(endpoint.containerId, () => this.#removals.finish(endpoint));
    }
    return undefined;
  }

  #assertReady(code: CniCode): void {
    const reason = this.#options.notReady();
    if (reason) throw new CniError(code, `cali-node on ${this.#options.node} is not ready: ${reason}`);
  }
}

/** Returns the name of the host's side of the pair. */
function hostInterfaceOf({ containerId, pod }: Attachment): string {
  return pod ? podInterfaceName(pod.namespace, pod.name) : containerInterfaceName(containerId);
}

/** Returns a test for the endpoint of an attachment. */
function isOf({ containerId, interfaceName }: Attachment): (endpoint: Endpoint) => boolean {
  return (one) => one.containerId === containerId && one.containerInterface === interfaceName;
}
