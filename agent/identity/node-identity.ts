/** Which node this agent is: the addresses that it published, its families, and the Node object that it belongs to. */
import type { Node } from '../../datastore/schema/core.ts';
import type { Family } from '../../lib/cidr.ts';
import { type NodeInfo, nodeInfo } from '../../model/node.ts';

export class NodeIdentity {
  readonly #name: string;
  readonly #nodes: () => readonly Node[];
  #self: NodeInfo | undefined;
  #families: readonly Family[] = [];
  #podFamilies: readonly Family[] = [];
  /** UID of the Node when it was first seen. */
  #uid: string | undefined;

  /** `nodes` returns the Nodes of the cluster. */
  constructor(name: string, nodes: () => readonly Node[]) {
    this.#name = name;
    this.#nodes = nodes;
  }

  /** The node with the addresses in use; undefined until they are published. */
  get self(): NodeInfo | undefined {
    return this.#self;
  }

  /** Families of the node's addresses. */
  get families(): readonly Family[] {
    return this.#families;
  }

  /** Families that the node has or had since this agent started. */
  get podFamilies(): readonly Family[] {
    return this.#podFamilies;
  }

  /** The Node object; undefined when the API has none. */
  get node(): Node | undefined {
    return this.#nodes().find(({ metadata }) => metadata.name === this.#name);
  }

  /** The node as its Node object shows it, with the addresses in use; undefined until they are published. */
  get published(): NodeInfo | undefined {
    const { node } = this;
    return this.#self && node ? { ...nodeInfo(node), addresses: this.#self.addresses } : this.#self;
  }

  /** Uses these addresses of the node from now on. */
  adopt(self: NodeInfo): void {
    this.#self = self;
    this.#families = ([4, 6] as const).filter((family) => self.addresses[family]);
    // A pod keeps its addresses, so one that is added while the node lacks a family still gets that family.
    const before = this.#podFamilies;
    this.#podFamilies = ([4, 6] as const).filter(
      (family) => before.includes(family) || this.#families.includes(family),
    );
  }

  /** Whether the Node was deleted and recreated. The new one lacks the published data and may have other addresses. */
  isReplaced(): boolean {
    const uid = this.node?.metadata.uid;
    this.#uid ??= uid;
    return uid !== undefined && uid !== this.#uid;
  }
}
