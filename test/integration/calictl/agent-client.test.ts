import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http, { type RequestListener, type Server } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AGENT_SOCKET } from '../../../agent/report/status.ts';
import { agentSocket, askAgent } from '../../../calictl/agent-client.ts';

let folder: string;
let server: Server | undefined;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-agent-'));
  vi.stubEnv('CALI_RUN_DIR', folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

function serve(listener: RequestListener): Promise<void> {
  const listening = http.createServer(listener);
  server = listening;
  return new Promise((resolve) => listening.listen(path.join(folder, AGENT_SOCKET), resolve));
}

describe('a question to the agent of this node', () => {
  it('goes to the socket in CALI_RUN_DIR, and without it to the default one', () => {
    expect(agentSocket()).toBe(path.join(folder, AGENT_SOCKET));
    vi.stubEnv('CALI_RUN_DIR', undefined);
    expect(agentSocket()).toBe(`/var/run/cali/${AGENT_SOCKET}`);
  });

  it('returns the value, even if it arrives in pieces that divide a character', async () => {
    const answer = Buffer.from(JSON.stringify({ name: 'nœud', list: [1] }));
    const half = answer.indexOf('œ') + 1;
    await serve((_, response) => {
      response.write(answer.subarray(0, half));
      setImmediate(() => response.end(answer.subarray(half)));
    });
    expect(await askAgent('/v1/status')).toEqual({ name: 'nœud', list: [1] });
  });

  it('sends path and query as they are', async () => {
    await serve((request, response) => response.end(JSON.stringify(request.url)));
    expect(await askAgent('/v1/bgp/routes?prefix=fd00%3A%3A%2F48')).toBe(
      '/v1/bgp/routes?prefix=fd00%3A%3A%2F48',
    );
  });

  it('fails with the sentence of the agent', async () => {
    await serve((_, response) => response.writeHead(404).end('BGP peer 10.0.0.1 does not exist\n'));
    await expect(askAgent('/v1/bgp/received')).rejects.toMatchObject({
      code: 'AGENT',
      message: 'BGP peer 10.0.0.1 does not exist',
    });
  });

  it.each([
    ['no JSON', (response: http.ServerResponse) => response.end('<html>')],
    ['half an answer', (response: http.ServerResponse) => response.end('{"a":')],
    ['nothing', (response: http.ServerResponse) => response.destroy()],
  ])('fails with advice when the answer is %s', async (_, answer) => {
    await serve((_request, response) => void answer(response));
    await expect(askAgent('/v1/status')).rejects.toMatchObject({
      code: 'NO_AGENT',
      message: expect.stringMatching(/^Cali process is not running: no answer on .*check CALI_RUN_DIR$/),
    });
  });

  it('fails when the agent ends in the middle of an answer', async () => {
    await serve((_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"a":1}');
      setImmediate(() => response.destroy());
    });
    await expect(askAgent('/v1/status')).rejects.toMatchObject({ code: 'NO_AGENT' });
  });

  it('fails with advice when no agent listens', async () => {
    await expect(askAgent('/v1/status')).rejects.toThrow(/Run calictl on a node, and check CALI_RUN_DIR/);
  });

  it('is not sent to a file that is not a socket', async () => {
    writeFileSync(path.join(folder, AGENT_SOCKET), '');
    await expect((async () => askAgent('/v1/status'))()).rejects.toThrow(path.join(folder, AGENT_SOCKET));
  });
});
