import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readConfig } from '../../../agent/inputs/environment.ts';
import { closeParts, type Parts, wire } from '../../../agent/wiring.ts';
import { tcpTransport } from '../../../bgp/transport/tcp.ts';
import { endpointFolder } from '../../../cni/endpoint-folder.ts';
import { serveCni } from '../../../cni/server.ts';
import { plainAddress } from '../../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { serveRoutes } from '../../../lib/http.ts';
import { type Log, silentLog } from '../../../lib/log.ts';
import { systemTime } from '../../../lib/time.ts';
import { FakeKernel } from '../../helpers/fake-kernel.ts';

let directory: string;
const errors: string[] = [];
const log: Log = { ...silentLog, error: (_, text) => void errors.push(text) };

beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'wiring-'));
  errors.length = 0;
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Makes the parts of n1. No server has the API's address. */
function make(): Promise<Parts> {
  const config = readConfig({ NODENAME: 'n1' });
  const nothing = () => undefined;
  const client = new KubernetesClient(plainAddress('http://127.0.0.1:9'));
  return wire(
    { ...config, runDirectory: directory },
    {
      api: { client, hostname: '127.0.0.1', register: nothing },
      kernel: new FakeKernel(),
      time: systemTime,
      transport: tcpTransport,
      files: endpointFolder(path.join(directory, 'endpoints')),
      serve: { cni: serveCni, http: serveRoutes },
      log,
      setSeverity: nothing,
    },
    { changed: nothing, learned: nothing, converged: nothing },
  );
}

it('parts that were just made report what is missing, and close without an error', async () => {
  const parts = await make();
  expect(parts.report.status().notReady).toContain('not connected to the API yet');
  expect(parts.report.cniNotReady()).toBe('not connected to the API yet');
  expect(await parts.metrics.registry.metrics()).toContain('cali_node_ready 0');
  await closeParts(parts);
  expect(errors).toEqual([]);
});

it('parts are closed in a fixed order, the servers last, and an error does not stop the others', async () => {
  const parts = await make();
  const closed: string[] = [];
  const names = [
    ...(['topology', 'conditionReport', 'ownAddress', 'secrets', 'tunnelling', 'events'] as const),
    ...(['statusReporter', 'host', 'kernel', 'cniSocket', 'servers'] as const),
  ];
  for (const name of names) {
    const part: { close(): unknown } = parts[name];
    const close = part.close.bind(part);
    part.close = async () => {
      closed.push(name);
      await close();
      if (name === 'topology') throw new Error('oops');
    };
  }
  await closeParts(parts);
  expect(closed).toEqual(names);
  expect(errors).toEqual(['reflectors: closing failed']);
});
