import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { loadEndpoint } from '../../../datastore/kubernetes/kube-config.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';

let directory: string;
let server: http.Server;
let accepted: string;
const seen: (string | undefined)[] = [];

beforeEach(async () => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'cali-credentials-'));
  seen.length = 0;
  server = http.createServer((request, response) => {
    seen.push(request.headers.authorization);
    const isAllowed = request.headers.authorization === `Bearer ${accepted}`;
    response.writeHead(isAllowed ? 200 : 401, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify(
        isAllowed ? { metadata: { resourceVersion: '1' }, items: [] } : { message: 'Unauthorized' },
      ),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(async () => {
  vi.useRealTimers();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
});

function clientWith(user: string): KubernetesClient {
  const file = path.join(directory, 'kubeconfig');
  const { port } = server.address() as { port: number };
  writeFileSync(
    file,
    `apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{ name: c, context: { cluster: c, user: u } }]\n` +
      `clusters: [{ name: c, cluster: { server: "http://127.0.0.1:${port}" } }]\nusers: [{ name: u, user: ${user} }]\n`,
  );
  return new KubernetesClient(loadEndpoint(file));
}

describe('credentials', () => {
  it('a token of the kubeconfig goes along', async () => {
    accepted = 'secret';
    await clientWith('{ token: secret }').list(ipPoolKind);
    expect(seen).toEqual(['Bearer secret']);
  });

  it('a token in a file is read again when it has been rotated', async () => {
    const file = path.join(directory, 'token');
    writeFileSync(file, 'first');
    accepted = 'first';
    const client = clientWith(`{ auth-provider: { name: tokenFile, config: { tokenFile: "${file}" } } }`);
    await client.list(ipPoolKind);
    writeFileSync(file, 'second');
    accepted = 'second';
    vi.setSystemTime(Date.now() + 61_000);
    await client.list(ipPoolKind);
    expect(seen).toEqual(['Bearer first', 'Bearer second']);
  });

  it('a refused token is read again at once, once, and then the refusal is told', async () => {
    accepted = 'other';
    await expect(clientWith('{ token: stale }').list(ipPoolKind)).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: 'Unauthorized',
    });
    expect(seen).toHaveLength(2);
  });
});
