/** Endpoint for a pod: the address from the environment, the credentials from the mounted service account. */
import { readFile } from 'node:fs/promises';
import https from 'node:https';
import path from 'node:path';
import { CodedError, messageOf } from '../../lib/errors.ts';
import { type Connection, CREDENTIALS_MS, type Endpoint } from './endpoint.ts';
import { Multiplexer } from './multiplexer.ts';

const FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Rereads the token and the certificate authority periodically, because kubelet replaces them. */
export function serviceAccountEndpoint(folder = FOLDER, environment = process.env): Endpoint {
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
