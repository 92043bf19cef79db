/** The only file that imports @kubernetes/client-node: where the API is and how to authenticate to it. */
import { existsSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { CodedError, messageOf } from '../../lib/errors.ts';

/** Base URL and, per request, an agent with keep-alive and the headers that authenticate. */
export interface Endpoint {
  readonly url: URL;
  /** Credentials are read anew when older than ten seconds, or when `isRefused` says that they failed. */
  connection(isRefused: boolean): Promise<{ agent: http.Agent; headers: Record<string, string> }>;
}

const CREDENTIALS_MS = 10_000;

/**
 * Endpoint from a kubeconfig file, from $KUBECONFIG, from the pod's service account, or from
 * ~/.kube/config, the first that applies. Throws CodedError KUBECONFIG with a sentence.
 */
export function loadEndpoint(file: string | undefined): Endpoint {
  const config = new KubeConfig();
  const source = file ?? defaultFile();
  try {
    if (source === undefined) config.loadFromCluster();
    else config.loadFromFile(source);
  } catch (error) {
    throw new CodedError(
      'KUBECONFIG',
      `kubeconfig ${source ?? '(service account)'}: cannot be read: ${messageOf(error)}. ` +
        'Set KUBECONFIG (or --kubeconfig) to a readable file.',
      { cause: error },
    );
  }
  const cluster = config.getCurrentCluster();
  if (!cluster?.server || !URL.canParse(cluster.server)) {
    throw new CodedError(
      'KUBECONFIG',
      `kubeconfig ${source ?? '(service account)'}: current-context "${config.getCurrentContext()}" names no cluster with a server URL. ` +
        'Set current-context to one of its contexts.',
    );
  }
  // client-node refuses plain http without this; there is no TLS to verify.
  if (cluster.server.startsWith('http:')) Object.assign(cluster, { skipTLSVerify: true });
  return endpointOf(config, new URL(cluster.server));
}

/** Endpoint of a server without authentication, such as the lab's. */
export function plainEndpoint(server: string): Endpoint {
  const agent = new http.Agent({ keepAlive: true });
  return { url: new URL(server), connection: async () => ({ agent, headers: {} }) };
}

function defaultFile(): string | undefined {
  const fromEnvironment = process.env['KUBECONFIG'];
  if (fromEnvironment) return fromEnvironment;
  if (process.env['KUBERNETES_SERVICE_HOST']) return undefined;
  const home = path.join(os.homedir(), '.kube', 'config');
  if (existsSync(home)) return home;
  throw new CodedError(
    'KUBECONFIG',
    `no cluster: KUBECONFIG is not set, ${home} does not exist, and this is no pod. Set KUBECONFIG to a kubeconfig file.`,
  );
}

function endpointOf(config: KubeConfig, url: URL): Endpoint {
  let agent: http.Agent | undefined;
  let agentKey = '';
  let headers: Record<string, string> = {};
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    url,
    async connection(isRefused) {
      if (agent && !isRefused && Date.now() - readAt < CREDENTIALS_MS) return { agent, headers };
      const options: https.RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      const { ca, cert, key, rejectUnauthorized, servername } = options;
      const tls = { ca, cert, key, rejectUnauthorized, servername };
      const nextKey = JSON.stringify(tls);
      if (!agent || nextKey !== agentKey) {
        agent = agentFor(config, url, options, dropUndefined(tls));
        agentKey = nextKey;
      }
      headers = { ...(options.headers as Record<string, string> | undefined) };
      if (options.auth) headers['Authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
      readAt = Date.now();
      return { agent, headers };
    },
  };
}

/** client-node makes an agent per call and without keep-alive; only its proxies are taken over. */
function agentFor(
  config: KubeConfig,
  url: URL,
  options: https.RequestOptions,
  tls: https.AgentOptions,
): http.Agent {
  if (config.getCurrentCluster()?.proxyUrl !== undefined) return options.agent as http.Agent;
  return url.protocol === 'http:'
    ? new http.Agent({ keepAlive: true })
    : new https.Agent({ ...tls, keepAlive: true });
}

function dropUndefined<T extends object>(object: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: NonNullable<T[K]>;
  };
}
