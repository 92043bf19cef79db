/** Runs `nft`. */
import { feed, run } from '../lib/exec.ts';
import type { Nft } from './port.ts';

const TIMEOUT_MS = 10_000;

export const linuxNft: Nft = {
  load: (lines) => feed('nft', ['-f', '-'], lines, TIMEOUT_MS),
  async check(lines) {
    const { ok } = await feed('nft', ['--check', '-f', '-'], lines, TIMEOUT_MS);
    return ok;
  },
  async list(table) {
    const { outcome, stdout } = await run('nft', ['-s', 'list', 'table', ...table.split(' ')], {
      timeoutMs: TIMEOUT_MS,
    });
    return outcome === 'exited' ? stdout : undefined;
  },
};
