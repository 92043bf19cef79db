/** Queries the agent of this node over its local socket. */
import http from 'node:http';
import path from 'node:path';
import { AGENT_SOCKET } from '../agent/report/status.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import { assertTrustedSocket } from '../lib/unix-socket.ts';

/** Returns the path of the agent's socket, in CALI_RUN_DIR as for the agent. */
export function agentSocket(): string {
  return path.join(process.env['CALI_RUN_DIR'] ?? '/var/run/cali', AGENT_SOCKET);
}

/**
 * GETs a path. Throws CodedError NOT_OURS when the socket is not the agent's, NO_AGENT without an answer, AGENT with
 * the agent's own sentence.
 */
export function askAgent<T>(route: string): Promise<T> {
  const socketPath = agentSocket();
  assertTrustedSocket(socketPath);
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) =>
      reject(
        new CodedError(
          'NO_AGENT',
          `Cali process is not running: no answer on ${socketPath} (${messageOf(error)}). Run calictl on a node, and check CALI_RUN_DIR`,
        ),
      );
    const request = http.get({ socketPath, path: route, timeout: 2000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('error', fail);
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        if (response.statusCode !== 200) {
          reject(new CodedError('AGENT', text.trim()));
          return;
        }
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          fail(error);
        }
      });
    });
    request.on('timeout', () => request.destroy(new Error('no answer within 2 s')));
    request.on('error', fail);
  });
}
