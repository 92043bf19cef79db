/** Reads from nf_tables what the choice between library and program, and the comparison of our table, depend on. */
import { CodedError } from '../lib/errors.ts';
import { dump } from './netlink/dump.ts';
import { isMalformed } from './netlink/message.ts';
import {
  type NftSetHeader,
  readGeneration,
  readSet,
  writeGenerationRequest,
  writeSetsRequest,
} from './netlink/nftables.ts';
import { Requester } from './netlink/request.ts';
import { type Datagrams, NETLINK_NETFILTER, NetlinkSocket } from './netlink/socket.ts';

/** As the choice needs it; tests have their own. */
export interface NftReader {
  /** Returns the number of the last change to any table of this network namespace; undefined when unknown. */
  generation(): Promise<number | undefined>;
  /** Returns a set that libnftables 1.0.6 cannot read, if there is one. Throws when sets cannot be read. */
  findUnreadable(): Promise<NftSetHeader | undefined>;
  close(): void;
}

/** Opens nf_tables' state; undefined without koffi, or when the kernel has no nfnetlink. */
export function openNftState(netns?: string): NftState | undefined {
  const state = new NftState(netns);
  return state.canOpen() ? state : undefined;
}

export class NftState implements NftReader {
  readonly #netns: string | undefined;
  #opened: { readonly socket: NetlinkSocket; readonly requester: Requester } | undefined;

  constructor(netns?: string) {
    this.#netns = netns;
  }

  canOpen(): boolean {
    try {
      this.#open();
      return true;
    } catch {
      return false;
    }
  }

  async generation(): Promise<number | undefined> {
    try {
      const answer = await this.#open().requester.query(writeGenerationRequest, readGeneration);
      return typeof answer === 'number' ? answer : undefined;
    } catch {
      this.close();
      return undefined;
    }
  }

  async findUnreadable(): Promise<NftSetHeader | undefined> {
    try {
      const sets = await dump(this.#lendOnce(), writeSetsRequest, (message) => {
        const set = readSet(message);
        if (set && isMalformed(set)) throw new CodedError('NETLINK', `nftables set: ${set.malformed}`);
        return set?.isReadable === false ? set : undefined;
      });
      return sets[0];
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The next call opens another socket. */
  close(): void {
    this.#opened?.socket.close();
    this.#opened = undefined;
  }

  /**
   * Lends the socket for one attempt of a dump. Closing an nfnetlink socket waits up to 20 ms for the kernel to free
   * removed rules, so it stays open. The rest of an interrupted dump is lost with the socket.
   */
  #lendOnce(): () => Datagrams {
    const { socket } = this.#open();
    let isLent = false;
    return () => {
      if (isLent) throw new CodedError('NETLINK', 'nftables sets changed while they were read');
      isLent = true;
      return {
        send: (bytes) => socket.send(bytes),
        receive: () => socket.receive(),
        receiveLater: () => socket.receiveLater(),
        close: () => {},
      };
    };
  }

  #open() {
    if (!this.#opened) {
      const socket = new NetlinkSocket({ protocol: NETLINK_NETFILTER, netns: this.#netns });
      this.#opened = { socket, requester: new Requester(socket) };
    }
    return this.#opened;
  }
}
