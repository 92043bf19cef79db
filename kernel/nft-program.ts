/** Runs `nft`. */
import { feed, run } from '../lib/exec.ts';
import type { Nft } from './port.ts';

const TIMEOUT_MS = 10_000;

/** `command` is the program and its first arguments, such as those of `ip netns exec`. */
export function programNft([program, ...first]: readonly [string, ...string[]] = ['nft']): Nft {
  return {
    load: (lines) => feed(program, [...first, '-f', '-'], lines, TIMEOUT_MS),
    async check(lines) {
      const { ok } = await feed(program, [...first, '--check', '-f', '-'], lines, TIMEOUT_MS);
      return ok;
    },
    async list(table) {
      const { outcome, stdout } = await run(program, [...first, '-s', 'list', 'table', ...table.split(' ')], {
        timeoutMs: TIMEOUT_MS,
      });
      return outcome === 'exited' ? stdout : undefined;
    },
    generation: async () => undefined,
  };
}
