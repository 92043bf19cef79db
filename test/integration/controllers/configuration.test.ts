import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControllersConfiguration } from '../../../controllers/configuration.ts';
import { DEFAULT_SPEC } from '../../../controllers/settings.ts';
import { ApiServer } from '../../../datastore/embedded/server.ts';
import { plainAddress } from '../../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { kubeControllersConfigurationKind } from '../../../datastore/schema/kube-controllers.ts';
import { silentLog } from '../../../lib/log.ts';
import { until } from '../../helpers/lab.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

const PATIENCE_MS = 60_000;

let directory: string;
let api: ApiServer;
let client: KubernetesClient;
let abort: AbortController;
let changes: number;
beforeEach(async () => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'cali-configuration-'));
  api = await ApiServer.start({ directory, host: '127.0.0.1', port: 0 }, silentLog);
  client = new KubernetesClient(plainAddress(api.url));
  abort = new AbortController();
  changes = 0;
});
afterEach(async () => {
  abort.abort();
  await api.close();
  rmSync(directory, { recursive: true, force: true });
});

function follow(clock = new ManualClock()): ControllersConfiguration {
  const configuration = new ControllersConfiguration({
    client,
    clock,
    log: silentLog,
    changed: () => {
      changes++;
    },
  });
  void configuration.run(abort.signal);
  return configuration;
}
const put = (name: string, node: object) =>
  client.create(kubeControllersConfigurationKind, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'KubeControllersConfiguration',
    metadata: { name },
    spec: { controllers: { node } },
  });
const stored = async () => (await client.get(kubeControllersConfigurationKind, 'default'))?.spec;

describe('the configuration of the controllers', () => {
  it('is created with the defaults in a new cluster, and read after that', async () => {
    const configuration = follow();
    expect(configuration.read()).toEqual({ object: undefined });
    await until('it exists', PATIENCE_MS, () => configuration.read().object !== undefined);
    expect(await stored()).toMatchObject(DEFAULT_SPEC);
    expect(configuration.read().unreadable).toBeUndefined();
  });

  it('is the object named default, which is not written when it exists', async () => {
    await put('other', { leakGracePeriod: '1m0s' });
    await put('default', { leakGracePeriod: '7m0s' });
    const configuration = follow();
    await until('it is read', PATIENCE_MS, () => configuration.read().object !== undefined);
    expect(configuration.read().object?.spec.controllers.node?.leakGracePeriod).toBe('7m0s');
    expect((await stored())?.controllers.node?.leakGracePeriod).toBe('7m0s');
  });

  it('reports each change', async () => {
    await put('default', {});
    const configuration = follow();
    await until('it is read', PATIENCE_MS, () => configuration.read().object !== undefined);
    const before = changes;
    await client.patch(kubeControllersConfigurationKind, 'default', {
      spec: { controllers: { node: { leakGracePeriod: '3m0s' } } },
    });
    await until('the change is reported', PATIENCE_MS, () => changes > before);
    expect(configuration.read().object?.spec.controllers.node?.leakGracePeriod).toBe('3m0s');
  });

  it('is created ten seconds later when the API refuses it at first', async () => {
    const clock = new ManualClock();
    const create = client.create.bind(client);
    let refusals = 0;
    client.create = () => {
      refusals++;
      return Promise.reject(new Error('refused'));
    };
    follow(clock);
    await until('the first attempt fails', PATIENCE_MS, () => refusals === 1);
    expect(await stored()).toBeUndefined();
    client.create = create;
    clock.advance(10_000);
    await until('it exists', PATIENCE_MS, async () => (await stored()) !== undefined);
  });
});
