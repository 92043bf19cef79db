import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../../../agent/report/status.ts';
import { AGENT_SOCKET } from '../../../../agent/report/status.ts';
import { healthAddresses, Servers } from '../../../../agent/serve/servers.ts';
import { Boundary } from '../../../../lib/boundary.ts';
import { serveRoutes } from '../../../../lib/http.ts';
import { silentLog } from '../../../../lib/log.ts';
import { systemTime } from '../../../../lib/time.ts';

let folder: string;
let servers: Servers;
let explained: string[];
beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-servers-'));
  explained = [];
  servers = new Servers(folder, {
    registry: new Registry(),
    speaker: () => undefined,
    status: () => ({ node: 'n1', notReady: [] }) as unknown as AgentStatus,
    explain: async (address) => {
      explained.push(address);
      return { address, pool: undefined, block: undefined, local: undefined, route: undefined, kernel: '' };
    },
    boundary: new Boundary(silentLog),
    serve: serveRoutes,
    clock: systemTime,
    log: silentLog,
  });
  await servers.start();
});
afterEach(async () => {
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

function ask(route: string): Promise<{ code: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const socketPath = path.join(folder, AGENT_SOCKET);
    http
      .get({ socketPath, path: route, agent: false }, (response) => {
        let body = '';
        response.on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () => resolve({ code: response.statusCode, body }));
      })
      .on('error', reject);
  });
}

describe('the socket for calictl', () => {
  it('explains an address in its canonical form', async () => {
    const { code, body } = await ask(`/v1/explain?address=${encodeURIComponent('FD00:0::1')}`);
    expect([code, JSON.parse(body).address, explained]).toEqual([200, 'fd00::1', ['fd00::1']]);
  });

  it.each(['', '?address=', '?address=10.0.0.0%2F8', '?address=%1b%5b2J'])(
    'refuses %j without an explanation and without control characters',
    async (query) => {
      const { code, body } = await ask(`/v1/explain${query}`);
      expect(code).toBe(400);
      expect(body).toContain('is not an IP address');
      expect(body).not.toContain('\u001b');
      expect(explained).toEqual([]);
    },
  );

  it('answers questions about BGP with the reason while no speaker runs', async () => {
    expect(await ask('/v1/bgp/peers')).toEqual({ code: 503, body: 'the BGP speaker is not running\n' });
  });

  it('has the status', async () => {
    expect(JSON.parse((await ask('/v1/status')).body)).toMatchObject({ node: 'n1' });
  });
});

describe('the addresses of the health checks', () => {
  it.each([
    ['', ['127.0.0.1']],
    ['localhost', ['127.0.0.1']],
    ['127.0.0.1', ['127.0.0.1']],
    ['0.0.0.0', ['0.0.0.0']],
    ['::', ['::']],
    ['10.0.0.5', ['127.0.0.1', '10.0.0.5']],
  ])('of the host %j always include 127.0.0.1, where the probes ask', (host, hosts) => {
    expect(healthAddresses({ host, port: 9 })).toEqual(hosts.map((one) => ({ host: one, port: 9 })));
  });
});
