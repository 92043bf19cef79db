import { expect } from 'vitest';
import type { Member, SyncPurpose } from '../../bgp/group/member.ts';
import { Framer } from '../../bgp/wire/framer.ts';
import type { Nlri } from '../../bgp/wire/nlri.ts';
import { decodeUpdate, type UpdateMessage } from '../../bgp/wire/update.ts';

/** A peer that builds its table from the bytes sent to it. */
export class Receiver implements Member {
  readonly source: number;
  readonly table = new Map<string, string>();
  readonly updates: UpdateMessage[] = [];
  readonly #hasAddPath: boolean;
  queued = 0;
  ends: SyncPurpose[] = [];
  /** Every refresh that began (BoRR) has ended (EoRR). */
  isRefreshed = true;

  readonly #isIbgp: boolean;

  constructor(source: number, hasAddPath = false, isIbgp = true) {
    this.source = source;
    this.#isIbgp = isIbgp;
    this.#hasAddPath = hasAddPath;
  }

  send(bytes: Uint8Array): void {
    new Framer().push(bytes, ({ body }) => {
      const context = {
        isFourOctetAs: true,
        isIbgp: this.#isIbgp,
        addPath: this.#hasAddPath ? [4 as const] : [],
      };
      const update = decodeUpdate(body, context);
      expect(update.faults).toEqual([]);
      this.updates.push(update);
      for (const route of update.withdrawn) this.table.delete(keyOf(route));
      for (const route of update.nlri)
        this.table.set(keyOf(route), `${update.attributes!.med} from ${update.attributes!.originatorId}`);
      return true;
    });
  }

  counted(): void {}
  syncBegins(purpose: SyncPurpose): void {
    if (purpose === 'refresh') this.isRefreshed = false;
  }
  syncEnds(purpose: SyncPurpose): void {
    this.ends.push(purpose);
    if (purpose === 'refresh') this.isRefreshed = true;
  }
}

const keyOf = ({ prefix, pathId }: Nlri) => (pathId === undefined ? prefix : `${prefix} ${pathId}`);
