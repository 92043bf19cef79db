/** Calls the agent's CNI socket as the shim does, for the lab and for tests. */
import net from 'node:net';
import type { CniAnswer } from './plugin.ts';
import { formatCall } from './server.ts';
import type { CniRequest } from './types.ts';

/** Rejects when the agent does not answer. */
export function callCni(socketPath: string, request: CniRequest): Promise<CniAnswer> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(socketPath);
    let answer = '';
    socket.setEncoding('utf8');
    socket.on('error', reject);
    socket.on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('end', () => {
      const newline = answer.indexOf('\n');
      if (newline < 0) reject(new Error('the agent closed the connection without a response'));
      else resolve({ exitCode: Number(answer.slice(0, newline)), output: answer.slice(newline + 1) });
    });
    socket.end(formatCall(request));
  });
}
