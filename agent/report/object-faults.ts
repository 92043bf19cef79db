/** Faults of the objects that this agent reads, for status, health, Events and metrics. */

import type { UnreadableObject } from '../../datastore/informer.ts';
import { describeProblem, type ObjectProblem } from '../../datastore/object-problem.ts';
import { bgpConfigurationKind } from '../../datastore/schema/bgp-configuration.ts';
import type { Node } from '../../datastore/schema/core.ts';
import { addressConflicts } from '../../felix/calc/address-conflicts.ts';
import type { Boundary } from '../../lib/boundary.ts';
import { nodeInfo, nodeProblems } from '../../model/node.ts';
import type { Quarantine } from '../inputs/quarantine.ts';
import type { View } from '../inputs/view.ts';
import type { SecretsView } from '../speaker/secrets.ts';

export interface FaultSources {
  readonly view: Pick<View, 'problems' | 'nodes' | 'bgpConfigurations' | 'bgpPeers'>;
  readonly secrets: Pick<SecretsView, 'problems' | 'passwordProblems'>;
  readonly quarantine: Pick<Quarantine, 'problems'>;
  readonly boundary: Boundary;
}

export class ObjectFaults {
  readonly #node: string;
  readonly #sources: FaultSources;

  constructor(node: string, sources: FaultSources) {
    this.#node = node;
    this.#sources = sources;
  }

  /** Returns objects with faults. Never throws. */
  all(): UnreadableObject[] {
    const { view, secrets, quarantine, boundary } = this.#sources;
    const from = (what: string, task: () => UnreadableObject[]) =>
      boundary.value(`problems of ${what}`, task) ?? [];
    return [
      ...from('objects', () => view.problems()),
      ...from('Secrets', () => secrets.problems()),
      ...from('passwords', () => secrets.passwordProblems(view.bgpConfigurations(), view.bgpPeers())),
      ...from('Nodes', () => malformedNodes(view.nodes())),
      ...from('addresses', () => conflictingNodes(view.nodes())),
      ...quarantine.problems(),
    ];
  }

  /** Returns the faults without their objects. Never throws. */
  problems(): ObjectProblem[] {
    return this.all().map(({ problem }) => problem);
  }

  /**
   * Returns why BGP must wait: a configuration for this node exists but is unusable. With the defaults the node would
   * open different sessions: AS number 64512, a mesh, no passwords.
   */
  unknownConfiguration(): string | undefined {
    const names = ['default', `node.${this.#node}`];
    const found = this.all().find(
      ({ problem: { kind, name }, isAbsent }) =>
        isAbsent && kind === bgpConfigurationKind.kind && names.includes(name),
    );
    return found && `waiting until this is corrected: ${describeProblem(found.problem)}`;
  }
}

/** Returns Nodes with malformed annotations, which count as absent. */
function malformedNodes(nodes: readonly Node[]): UnreadableObject[] {
  return nodes.flatMap((node) =>
    nodeProblems(node).map((problem) => ({
      problem,
      uid: node.metadata.uid,
      conditions: node.status.conditions,
      isAbsent: false,
    })),
  );
}

/** Returns Nodes that have the address of another Node. */
function conflictingNodes(nodes: readonly Node[]): UnreadableObject[] {
  return addressConflicts(nodes.map(nodeInfo)).map((problem) => ({
    problem,
    uid: nodes.find(({ metadata }) => metadata.name === problem.name)?.metadata.uid,
    conditions: undefined,
    isAbsent: false,
  }));
}
