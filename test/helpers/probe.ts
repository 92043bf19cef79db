/**
 * Counts packets at their destination with a separate nftables table. Each packet carries a number in IPv4's
 * identification or IPv6's flow label, which NAT does not change.
 */
import { type TestLab, until } from './lab.ts';

/** `early`: first in prerouting; `checked`: after the guard; `local`: last in input. */
export type ProbePoint = 'early' | 'checked' | 'local';

const PATIENCE_MS = 120_000;
const hooks: Readonly<Record<ProbePoint, string>> = {
  early: 'prerouting priority -500',
  checked: 'prerouting priority -250',
  local: 'input priority 300',
};

export class Probe {
  readonly #lab: TestLab;
  readonly #place: string;

  constructor(lab: TestLab, place: string) {
    this.#lab = lab;
    this.#place = place;
  }

  /** Starts to count each numbered packet at its point, from zero. */
  watch(wanted: readonly { readonly tag: number; readonly point: ProbePoint }[]): void {
    const lines = [
      'table inet probe {}',
      'delete table inet probe',
      'table inet probe {',
      ...wanted.map(({ tag }) => `counter n${tag} {}`),
      ...Object.entries(hooks).flatMap(([point, hook]) => [
        `chain ${point} {`,
        `type filter hook ${hook};`,
        ...wanted
          .filter((one) => one.point === point)
          .flatMap(({ tag }) => [
            `ip id ${tag} counter name n${tag}`,
            `ip6 flowlabel ${tag} counter name n${tag}`,
          ]),
        '}',
      ]),
      '}',
    ];
    const { code, stderr } = this.#lab.pipe(this.#place, `${lines.join('\n')}\n`, 'nft', '-f', '-');
    if (code !== 0) throw new Error(`${this.#place}: ${stderr}`);
  }

  /** Returns packet counts by number, after packet `last` arrived: earlier packets have arrived by then or are lost. */
  async counts(last: number): Promise<ReadonlyMap<number, number>> {
    let found = new Map<number, number>();
    await until(`packet ${last} arrives at ${this.#place}`, PATIENCE_MS, () => {
      found = this.#read();
      return (found.get(last) ?? 0) > 0;
    });
    return found;
  }

  #read(): Map<number, number> {
    const text = this.#lab.sh(this.#place, 'nft list counters table inet probe');
    return new Map(
      [...text.matchAll(/counter n(\d+) \{\s+packets (\d+)/g)].map(([, tag, n]) => [Number(tag), Number(n)]),
    );
  }
}
