/**
 * The only file that imports @kubernetes/client-node: kubeconfig files with all their ways to authenticate. It is loaded
 * where there is such a file; a pod does without its 25 MB of heap (service-account.ts).
 */
import http from 'node:http';
import https from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { CodedError, messageOf } from '../../lib/errors.ts';
import { CREDENTIALS_MS, type Endpoint } from './endpoint.ts';

/** Endpoint of a kubeconfig file's current context. Throws CodedError KUBECONFIG with a sentence. */
export function fileEndpoint(file: string): Endpoint {
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
  } catch (error) {
    throw new CodedError(
      'KUBECONFIG',
      `kubeconfig ${file}: cannot be read: ${messageOf(error)}. Set KUBECONFIG (or --kubeconfig) to a readable file.`,
      { cause: error },
    );
  }
  const cluster = config.getCurrentCluster();
  if (!cluster?.server || !URL.canParse(cluster.server)) {
    throw new CodedError(
      'KUBECONFIG',
      `kubeconfig ${file}: current-context "${config.getCurrentContext()}" names no cluster with a server URL. ` +
        'Set current-context to one of its contexts.',
    );
  }
  // client-node refuses plain http without this; there is no TLS to verify.
  if (cluster.server.startsWith('http:')) Object.assign(cluster, { skipTLSVerify: true });
  return endpointOf(config, new URL(cluster.server));
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
