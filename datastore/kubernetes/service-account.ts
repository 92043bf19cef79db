/** Address of the API server for a pod: host and port from the environment, credentials from the service account. */
import { readFile } from 'node:fs/promises';
import https from 'node:https';
import path from 'node:path';
import { CodedError, messageOf } from '../../lib/errors.ts';
import { type ApiServerAddress, type Connection, CREDENTIALS_MS } from './api-server-address.ts';
import { Multiplexer } from './multiplexer.ts';

const FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Rereads the token and the certificate authority periodically, because kubelet replaces them. */
export function serviceAccountAddress(folder = FOLDER, environment = process.env): ApiServerAddress {
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  const port =
    environment['KUBERNETES_SERVICE_PORT_HTTPS'] || environment['KUBERNETES_SERVICE_PORT'] || '443';
  const url = new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`);
  let authority = '';
  let known: Connection | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    url,
    async connection(isRefused) {
      if (known && !isRefused && Date.now() - readAt < CREDENTIALS_MS) return known;
      const [token, ca] = await Promise.all([read(folder, 'token'), read(folder, 'ca.crt')]);
      const isNew = !known || ca !== authority;
      if (isNew) known?.multiplexer?.retire();
      known = {
        agent: known && !isNew ? known.agent : new https.Agent({ ca, keepAlive: true }),
        multiplexer: known && !isNew ? known.multiplexer : new Multiplexer(url, { ca }),
        headers: { Authorization: `Bearer ${token.trim()}` },
      };
      authority = ca;
      readAt = Date.now();
      return known;
    },
  };
}

async function read(folder: string, name: string): Promise<string> {
  const file = path.join(folder, name);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CodedError(
      'KUBECONFIG',
      `${file}: cannot be read: ${messageOf(error)}. Run the pod with a service account and automountServiceAccountToken.`,
      { cause: error },
    );
  }
}
