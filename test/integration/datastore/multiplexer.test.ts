import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import http2, { type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import https from 'node:https';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { View } from '../../../agent/inputs/view.ts';
import { ApiServer } from '../../../datastore/embedded/server.ts';
import type { ApiServerAddress } from '../../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { kubeconfigAddress } from '../../../datastore/kubernetes/kube-config.ts';
import { Multiplexer } from '../../../datastore/kubernetes/multiplexer.ts';
import { nodeKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { silentLog } from '../../../lib/log.ts';
import { systemTime } from '../../../lib/time.ts';
import { VERSION } from '../../../lib/version.ts';
import { hasProgram, until } from '../../helpers/lab.ts';

const PATIENCE_MS = 150_000;

let directory: string;
let api: ApiServer;
let certificate: { key: Buffer; cert: Buffer };
const hasOpenssl = hasProgram('openssl');
beforeAll(() => {
  if (!hasOpenssl) return;
  directory = mkdtempSync(path.join(os.tmpdir(), 'cali-multiplexer-'));
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => path.join(directory, name)) as [string, string];
  const subject = ['-subj', '/CN=api', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...kind, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
  certificate = { key: readFileSync(key), cert: readFileSync(cert) };
});
afterAll(() => {
  if (hasOpenssl) rmSync(directory, { recursive: true, force: true });
});

/** A TLS server in front of the embedded API server that counts connections and requests. */
class SecureApi {
  readonly server: Http2SecureServer | https.Server;
  readonly requests: { line: string; agent: string | undefined }[] = [];
  readonly sessions: ServerHttp2Session[] = [];
  connections = 0;

  private constructor(hasHttp2: boolean) {
    const pass = (request: IncomingMessage, response: http.ServerResponse) => {
      this.requests.push({
        line: `${request.method} ${request.url}`,
        agent: request.headers['user-agent'],
      });
      const headers = Object.fromEntries(
        Object.entries(request.headers).filter(([name]) => !name.startsWith(':')),
      );
      const upstream = http.request(new URL(request.url!, api.url), { method: request.method!, headers });
      upstream.on('response', (answer) => {
        response.writeHead(answer.statusCode!, { 'content-type': answer.headers['content-type']! });
        answer.on('error', () => response.destroy()).pipe(response);
      });
      upstream.on('error', () => response.destroy());
      response.on('close', () => upstream.destroy());
      request.pipe(upstream);
    };
    // The compatibility API of node:http2 has the same interface as node:http.
    this.server = hasHttp2
      ? http2.createSecureServer(
          certificate,
          pass as unknown as Parameters<typeof http2.createSecureServer>[1],
        )
      : https.createServer(certificate, pass);
    this.server.on('secureConnection', () => this.connections++);
    this.server.on('session', (session: ServerHttp2Session) => this.sessions.push(session));
  }

  static async start(hasHttp2 = true): Promise<SecureApi> {
    const secure = new SecureApi(hasHttp2);
    await new Promise<void>((resolve) => secure.server.listen(0, '127.0.0.1', resolve));
    return secure;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  endpoint(port = this.port): ApiServerAddress {
    const file = path.join(directory, 'kubeconfig');
    writeFileSync(
      file,
      `apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{ name: c, context: { cluster: c, user: u } }]\n` +
        `clusters: [{ name: c, cluster: { server: "https://127.0.0.1:${port}", certificate-authority: "${directory}/cert.pem" } }]\n` +
        `users: [{ name: u, user: { token: secret } }]\n`,
    );
    return kubeconfigAddress(file);
  }

  lists(plural: string): number {
    return this.requests.filter(({ line }) => new RegExp(`/${plural}\\?(?!.*watch=1)`).test(line)).length;
  }

  async close(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    if (this.server instanceof https.Server) this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

let secure: SecureApi;
let abort: AbortController;
beforeEach(async () => {
  if (!hasOpenssl) return;
  const state = mkdtempSync(path.join(directory, 'api-'));
  api = await ApiServer.start({ directory: state, host: '127.0.0.1', port: 0, bookmarkMs: 500 }, silentLog);
  abort = new AbortController();
});
afterEach(async () => {
  if (!hasOpenssl) return;
  abort.abort();
  await secure.close();
  await api.close();
});

const pool = (name: string, second: number) => ({
  apiVersion: 'projectcalico.org/v3',
  kind: 'IPPool',
  metadata: { name },
  spec: { cidr: `10.${second}.0.0/16` },
});

describe.runIf(hasOpenssl)('requests and watches of an agent', () => {
  it('share one HTTP/2 connection, list each kind once, and identify the program and its version', async () => {
    secure = await SecureApi.start();
    const client = new KubernetesClient(secure.endpoint());
    const view = new View('n1', { time: systemTime, client, log: silentLog, changed: () => undefined });
    void view.run(abort.signal);
    await until('in sync', PATIENCE_MS, () => view.isSynced && view.staleReasons.length === 0);
    await client.create(ipPoolKind, pool('p', 1));
    await until('the watch brings the pool', PATIENCE_MS, () => view.pools().length === 1);
    expect(secure.connections).toBe(1);
    for (const kind of ['nodes', 'pods', 'ippools', 'ipamblocks', 'bgppeers', 'felixconfigurations'])
      expect({ kind, lists: secure.lists(kind) }).toEqual({ kind, lists: 1 });
    const agents = new Set(secure.requests.map(({ agent }) => agent));
    expect([...agents]).toEqual([
      expect.stringMatching(new RegExp(`^[\\w.-]+/${VERSION} \\(linux/\\w+\\)$`)),
    ]);
  });

  it('continue over a new connection after GOAWAY, and after the connection broke', async () => {
    secure = await SecureApi.start();
    const client = new KubernetesClient(secure.endpoint());
    const view = new View('n1', { time: systemTime, client, log: silentLog, changed: () => undefined });
    void view.run(abort.signal);
    await until('in sync', PATIENCE_MS, () => view.isSynced);
    secure.sessions[0]!.goaway();
    // As from a server that gracefully ends connections one by one, as with --goaway-chance.
    await until('another connection', PATIENCE_MS, async () => {
      await client.list(nodeKind);
      return secure.connections === 2;
    });
    for (const session of secure.sessions) session.destroy();
    await client.list(nodeKind);
    await client.create(ipPoolKind, pool('p', 1));
    await until('watches are back', PATIENCE_MS, () => view.pools().length === 1);
    expect(secure.connections).toBe(3);
  });

  it('use HTTP/1.1 when the server supports nothing else', async () => {
    secure = await SecureApi.start(false);
    const client = new KubernetesClient(secure.endpoint());
    for (let i = 0; i < 3; i++) await client.create(ipPoolKind, pool(`p${i}`, i));
    expect(await client.list(ipPoolKind)).toHaveLength(3);
    // One for the handshake that showed this, and one that is kept.
    expect(secure.connections).toBeLessThanOrEqual(2);
  });
});

describe.runIf(hasOpenssl)('a silent connection', () => {
  let proxy: Server;
  const sockets = new Set<Socket>();
  let isSilent = false;
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });

  it('is closed when a PING is not answered, and the next request opens a new one', async () => {
    secure = await SecureApi.start();
    proxy = net.createServer((client) => {
      const upstream = net.connect(secure.port, '127.0.0.1');
      const isDead = isSilent;
      for (const socket of [client, upstream]) sockets.add(socket.on('error', () => undefined));
      client.on('data', (chunk) => (isSilent && !isDead ? undefined : upstream.write(chunk)));
      upstream.on('data', (chunk) => client.write(chunk));
      client.on('close', () => upstream.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const url = new URL(`https://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    const multiplexer = new Multiplexer(url, { ca: certificate.cert }, { pingMs: 50, answerMs: 500 });
    const endpoint: ApiServerAddress = {
      url,
      connection: async () => ({ agent: new https.Agent(), multiplexer, headers: {} }),
    };
    const client = new KubernetesClient(endpoint);
    const { resourceVersion } = await client.listPage(ipPoolKind, {}, 500, undefined);
    const watch = await client.watchStream(ipPoolKind, {}, resourceVersion, 300, abort.signal);
    const ended = new Promise((resolve) => watch.once('close', resolve));
    watch.on('error', () => undefined).resume();
    // The watch stays open as long as the server answers PINGs.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(watch.destroyed).toBe(false);
    isSilent = true;
    await ended;
    isSilent = false;
    expect(await client.list(ipPoolKind)).toEqual([]);
    expect(secure.connections).toBe(2);
  });
});
