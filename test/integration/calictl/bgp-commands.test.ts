import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { AGENT_SOCKET } from '../../../agent/report/status.ts';
import { addBgpCommands } from '../../../calictl/bgp-commands.ts';
import { json, type Routes, type Serving, serveRoutes, text } from '../../../lib/http.ts';

let folder: string;
let printed: string[];
let agent: Serving | undefined;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-commands-'));
  vi.stubEnv('CALI_RUN_DIR', folder);
  printed = [];
});
afterEach(() => {
  agent?.close();
  agent = undefined;
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a command line. Rejects as the command does. */
async function run(...args: string[]): Promise<void> {
  const program = new Command('calictl').exitOverride();
  addBgpCommands(program, {
    open: () => Promise.reject(new Error('no datastore')),
    print: (line) => printed.push(line),
    complain: () => undefined,
    columns: () => undefined,
    setExitCode: () => undefined,
  });
  await program.parseAsync(args, { from: 'user' });
}
const serve = async (routes: Routes) => {
  agent = await serveRoutes({ path: path.join(folder, AGENT_SOCKET) }, routes);
};

it('calictl bgp neighbor asks for the canonical address, and keeps the zone of a link-local one', async () => {
  const asked: (string | null)[] = [];
  const views = (query: URLSearchParams) => {
    asked.push(query.get('peer'));
    return json([]);
  };
  await serve({ '/v1/bgp/peers': () => json([]), '/v1/bgp/received': views, '/v1/bgp/advertised': views });
  await expect(run('bgp', 'neighbor', 'FD00:0::1')).rejects.toThrow('BGP peer fd00::1 has just been removed');
  await expect(run('bgp', 'neighbor', 'FE80::1%eth0')).rejects.toThrow('BGP peer fe80::1%eth0');
  expect(asked).toEqual(['fd00::1', 'fd00::1', 'fe80::1%eth0', 'fe80::1%eth0']);
});

it('calictl bgp dump writes the octets that the agent sent', async () => {
  await serve({ '/v1/bgp/mrt': () => json(Buffer.from([0, 255, 13]).toString('base64')) });
  const file = path.join(folder, 'mrt');
  await run('bgp', 'dump', file);
  expect([...readFileSync(file)]).toEqual([0, 255, 13]);
  expect(printed).toEqual([`3 octets written to ${file}`]);
});

it('calictl explain route fails with the sentence of the agent', async () => {
  await serve({ '/v1/explain': (query) => text(400, `"${query.get('address')}" is not an IP address`) });
  await expect(run('explain', 'route', 'a b')).rejects.toThrow('"a b" is not an IP address');
});
