/** A small RIB for tests that add paths by value. */
import { AttributeTable } from '../../bgp/rib/attribute-table.ts';
import { internAttributes } from '../../bgp/rib/attribute-values.ts';
import { wireOf } from '../../bgp/rib/prefix-table.ts';
import { Rib } from '../../bgp/rib/rib.ts';
import { type Source, SourceTable } from '../../bgp/rib/source.ts';
import type { PathAttributes } from '../../bgp/wire/attributes.ts';
import { familyOf, parseAddress } from '../../lib/cidr.ts';

export const someAttributes: PathAttributes = {
  origin: 0,
  asPath: [{ type: 2, asNumbers: [65001, 65002] }],
  nextHop: '10.0.0.1',
  localPref: 100,
};

export class TestRib {
  readonly sources = new SourceTable();
  readonly attributes = new AttributeTable();
  readonly ribs = {
    4: new Rib(4, this.attributes, this.sources),
    6: new Rib(6, this.attributes, this.sources),
  };
  readonly rib = this.ribs[4];

  source(address: string, change: Partial<Source> = {}): number {
    return this.sources.add({
      peer: address,
      isIbgp: true,
      isClient: true,
      identifier: Number(parseAddress(address)!.value),
      address,
      addressValue: parseAddress(address)!.value,
      ...change,
    });
  }

  announce(
    source: number,
    prefix: string,
    attributes: Partial<PathAttributes> = {},
    rejection = '',
    pathId = 0,
  ): void {
    const rib = this.ribs[familyOf(prefix)];
    const row = internAttributes(this.attributes, { ...someAttributes, ...attributes })!;
    rib.announce(
      wireOf(prefix)!,
      0,
      source,
      pathId,
      row,
      row,
      rib.rejections.intern({ kind: 'protocol', reason: rejection }),
    );
    this.attributes.release(row);
  }

  withdraw(source: number, prefix: string, pathId = 0): void {
    this.ribs[familyOf(prefix)].withdraw(wireOf(prefix)!, 0, source, pathId);
  }

  decide(): void {
    this.rib.decideChanged();
    this.rib.endTurn(true);
  }

  /** Source row of the best path; undefined if the prefix is unreachable. */
  best(prefix: string): number | undefined {
    const path = this.rib.best[this.rib.prefixes.findText(prefix)] ?? -1;
    return path < 0 ? undefined : this.rib.paths.source[path]!;
  }

  /** Why a source's path is not the best. */
  reason(source: number, prefix: string): string {
    const row = this.rib.prefixes.findText(prefix);
    const path = [...this.rib.pathsTo(row)].find((one) => this.rib.paths.source[one] === source)!;
    return this.rib.explain(row, path);
  }
}

/** Fault handler for groups in which every route must be encodable. */
export function failOnFault(error: unknown): never {
  throw error;
}
