/**
 * The only file that imports @kubernetes/client-node, which supports all authentication methods of kubeconfig files. It
 * costs 25 MB of heap, so it is loaded only for such a file; pods use service-account.ts.
 */
import { existsSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { CodedError, messageOf } from '../../lib/errors.ts';
import { type ApiServerAddress, type Connection, CREDENTIALS_MS } from './api-server-address.ts';
import { Multiplexer } from './multiplexer.ts';

/**
 * Returns the address of a context of kubeconfig files, by default the current one. `file` may list several files,
 * separated as in PATH; the first that defines an entry wins. Throws CodedError KUBECONFIG with a sentence.
 */
export function kubeconfigAddress(file: string, context?: string): ApiServerAddress {
  const files = file.split(path.delimiter).filter((one) => one !== '');
  const present = files.filter((one) => existsSync(one));
  const [first = file, ...others] = present.length > 0 ? present : files;
  const config = loadFile(first);
  for (const other of others) merge(config, loadFile(other));
  if (context !== undefined) useContext(config, file, context);
  else if (!config.currentContext)
    throw new CodedError(
      'KUBECONFIG',
      `kubeconfig ${file}: has no current-context: set it to one of its contexts (${contextsOf(config)}), or pass --context to calictl.`,
    );
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
  return addressOf(config, new URL(cluster.server));
}

function loadFile(file: string): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
    return config;
  } catch (error) {
    // The library reads fields without checking that they exist.
    const reason = error instanceof TypeError ? 'it is not a kubeconfig' : messageOf(error);
    throw new CodedError(
      'KUBECONFIG',
      `kubeconfig ${file}: cannot be read: ${reason}. Set KUBECONFIG (or --kubeconfig) to a readable file.`,
      { cause: error },
    );
  }
}

/** Adds the entries of another file. Existing entries stay. */
function merge(config: KubeConfig, other: KubeConfig): void {
  const added = <T extends { readonly name: string }>(present: readonly T[], more: readonly T[]) => [
    ...present,
    ...more.filter(({ name }) => !present.some((one) => one.name === name)),
  ];
  config.clusters = added(config.clusters, other.clusters);
  config.users = added(config.users, other.users);
  config.contexts = added(config.contexts, other.contexts);
  if (!config.currentContext) config.setCurrentContext(other.currentContext);
}

function useContext(config: KubeConfig, file: string, context: string): void {
  if (!config.contexts.some(({ name }) => name === context))
    throw new CodedError(
      'KUBECONFIG',
      `kubeconfig ${file}: has no context "${context}": choose one of ${contextsOf(config)}`,
    );
  config.setCurrentContext(context);
}

function contextsOf(config: KubeConfig): string {
  return config.contexts.map(({ name }) => name).join(', ') || 'none';
}

function addressOf(config: KubeConfig, url: URL): ApiServerAddress {
  let known: Connection | undefined;
  let knownTls = '';
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    url,
    async connection(isRefused) {
      if (known && !isRefused && Date.now() - readAt < CREDENTIALS_MS) return known;
      const options: https.RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      const { ca, cert, key, rejectUnauthorized, servername } = options;
      const tls = dropUndefined({ ca, cert, key, rejectUnauthorized, servername });
      const headers = { ...(options.headers as Record<string, string> | undefined) };
      if (options.auth) headers['Authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
      if (known && JSON.stringify(tls) === knownTls) known = { ...known, headers };
      else {
        known?.multiplexer?.retire();
        known = { ...waysTo(config, url, options, tls), headers };
      }
      knownTls = JSON.stringify(tls);
      readAt = Date.now();
      return known;
    },
  };
}

/** Uses client-node's agents only for proxies, in HTTP/1.1: it creates one per call, without keep-alive. */
function waysTo(
  config: KubeConfig,
  url: URL,
  options: https.RequestOptions,
  tls: https.AgentOptions,
): Pick<Connection, 'agent' | 'multiplexer'> {
  if (config.getCurrentCluster()?.proxyUrl !== undefined) return { agent: options.agent as http.Agent };
  if (url.protocol === 'http:') return { agent: new http.Agent({ keepAlive: true }) };
  return { agent: new https.Agent({ ...tls, keepAlive: true }), multiplexer: new Multiplexer(url, tls) };
}

function dropUndefined<T extends object>(object: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: NonNullable<T[K]>;
  };
}
