/** Observers of the BGP speaker: the wire log from the environment, and the BMP station from BGPConfiguration. */
import { BmpExporter } from '../../bgp/monitor/bmp.ts';
import { createWireLog } from '../../bgp/monitor/wire-log.ts';
import type { Speaker } from '../../bgp/speaker.ts';
import type { BGPConfiguration } from '../../datastore/schema/bgp-configuration.ts';
import { parsePeerIP } from '../../datastore/schema/bgp-fields.ts';
import { defaultsOf } from '../../felix/calc/bgp/cluster.ts';
import type { Log } from '../../lib/log.ts';
import type { Clock } from '../../lib/time.ts';

export class Observers {
  readonly #speaker: Speaker;
  readonly #modules: { readonly time: Clock; readonly log: Log };
  #station: string | undefined;
  #stopExport = () => {};

  constructor(
    speaker: Speaker,
    wireLog: string | undefined,
    modules: { readonly time: Clock; readonly log: Log },
  ) {
    this.#speaker = speaker;
    this.#modules = modules;
    if (wireLog !== undefined) speaker.observe(createWireLog(wireLog, modules.log));
  }

  /** Exports to the station in the current configuration, if any. */
  configure(configurations: readonly BGPConfiguration[]): void {
    const { bmpStation } = defaultsOf(configurations);
    if (bmpStation === this.#station) return;
    this.#station = bmpStation;
    this.#stopExport();
    this.#stopExport = () => {};
    if (bmpStation === undefined) return;
    const { address, port } = parsePeerIP(bmpStation)!;
    const view = { ribs: this.#speaker.ribs, peers: () => this.#speaker.peers };
    const exporter = new BmpExporter({ host: address, port: port! }, view, this.#modules);
    const stopObserving = this.#speaker.observe(exporter);
    this.#stopExport = () => {
      stopObserving();
      exporter.close();
    };
  }

  close(): void {
    this.#stopExport();
  }
}
