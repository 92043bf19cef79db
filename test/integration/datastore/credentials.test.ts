import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { kubeconfigAddress } from '../../../datastore/kubernetes/kube-config.ts';
import { serviceAccountAddress } from '../../../datastore/kubernetes/service-account.ts';
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
  return new KubernetesClient(kubeconfigAddress(file));
}

describe('credentials', () => {
  it('from a kubeconfig are sent with each request', async () => {
    accepted = 'secret';
    await clientWith('{ token: secret }').list(ipPoolKind);
    expect(seen).toEqual(['Bearer secret']);
  });

  it('from a token file are read again after rotation', async () => {
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

  it('that the API refuses are read again once, and then the refusal is reported', async () => {
    accepted = 'other';
    await expect(clientWith('{ token: stale }').list(ipPoolKind)).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: 'Unauthorized',
    });
    expect(seen).toHaveLength(2);
  });
});

describe('a service account', () => {
  it('is read again after its token rotates, and a missing file is named', async () => {
    const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
    writeFileSync(path.join(directory, 'token'), 'first\n');
    const { url, connection } = serviceAccountAddress(directory, environment);
    expect(url.href).toBe('https://[fd00::1]:6443/');
    await expect(connection(false)).rejects.toThrow(
      /ca\.crt: cannot be read: .*automountServiceAccountToken/,
    );
    writeFileSync(path.join(directory, 'ca.crt'), 'authority');
    expect((await connection(false)).headers).toEqual({ Authorization: 'Bearer first' });
    const { agent } = await connection(false);
    writeFileSync(path.join(directory, 'token'), 'second');
    expect((await connection(false)).headers).toEqual({ Authorization: 'Bearer first' });
    expect((await connection(true)).headers).toEqual({ Authorization: 'Bearer second' });
    writeFileSync(path.join(directory, 'token'), 'third');
    vi.setSystemTime(Date.now() + 10_001);
    const third = await connection(false);
    expect(third.headers).toEqual({ Authorization: 'Bearer third' });
    // The CA is the same, so connections are kept.
    expect(third.agent).toBe(agent);
  });
});
