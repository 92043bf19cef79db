/** The API as a pod reaches it: the environment says where, the mounted service account who. */
import { readFile } from 'node:fs/promises';
import https from 'node:https';
import path from 'node:path';
import { CodedError, messageOf } from '../../lib/errors.ts';
import { CREDENTIALS_MS, type Endpoint } from './endpoint.ts';

const FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Token and certificate authority are read again and again, because kubelet replaces them. */
export function serviceAccountEndpoint(folder = FOLDER, environment = process.env): Endpoint {
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  const port =
    environment['KUBERNETES_SERVICE_PORT_HTTPS'] || environment['KUBERNETES_SERVICE_PORT'] || '443';
  let authority = '';
  let agent: https.Agent | undefined;
  let headers: Record<string, string> = {};
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    url: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    async connection(isRefused) {
      if (agent && !isRefused && Date.now() - readAt < CREDENTIALS_MS) return { agent, headers };
      const [token, ca] = await Promise.all([read(folder, 'token'), read(folder, 'ca.crt')]);
      if (!agent || ca !== authority) agent = new https.Agent({ ca, keepAlive: true });
      authority = ca;
      headers = { Authorization: `Bearer ${token.trim()}` };
      readAt = Date.now();
      return { agent, headers };
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
      `${file}: cannot be read: ${messageOf(error)}. Give the pod a service account with automountServiceAccountToken.`,
      { cause: error },
    );
  }
}
