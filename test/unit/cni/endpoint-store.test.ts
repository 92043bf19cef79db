import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endpointFolder } from '../../../cni/endpoint-folder.ts';
import { EndpointStore } from '../../../cni/endpoint-store.ts';
import { silentLog } from '../../../lib/log.ts';
import type { Endpoint } from '../../../model/endpoint.ts';
import { endpoint } from '../../helpers/calc-input.ts';

let root: string;
let directory: string;
let changes: number;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'cali-endpoints-'));
  directory = path.join(root, 'endpoints');
  changes = 0;
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const open = () => EndpointStore.open(endpointFolder(directory), () => changes++, silentLog);
const container = (containerId: string, containerInterface = 'eth0'): Endpoint => ({
  ...endpoint('cali0123456789a', '10.0.0.5'),
  containerId,
  containerInterface,
});

describe('the endpoints of a node', () => {
  it('are known to a restarted agent as they were persisted', async () => {
    const one = {
      ...container('c1'),
      namespace: 'default',
      pod: 'p',
      allowedSourcePrefixes: ['10.9.0.0/16'],
    };
    (await open()).persist(one);
    const restarted = await open();
    expect(restarted.list()).toEqual([one]);
    expect(restarted.get('c1', 'eth0')).toEqual(one);
  });

  it('are programmed at once, but survive a restart only after their interface works', async () => {
    const store = await open();
    store.set(container('c1'));
    expect([changes, store.list().length]).toEqual([1, 1]);
    expect((await open()).list()).toEqual([]);
  });

  it('of one container are separate by interface', async () => {
    const store = await open();
    for (const name of ['eth0', 'net1']) {
      store.set(container('c1', name));
      store.persist(container('c1', name));
    }
    await store.remove(container('c1', 'eth0'));
    expect(store.get('c1', 'eth0')).toBeUndefined();
    expect((await open()).list().map(({ containerInterface }) => containerInterface)).toEqual(['net1']);
  });

  it('can be removed twice, and the second time changes nothing', async () => {
    const store = await open();
    store.set(container('c1'));
    changes = 0;
    await store.remove(container('c1'));
    await store.remove(container('c1'));
    expect(changes).toBe(1);
  });

  it('are readable only by the owner', async () => {
    (await open()).persist(container('c1'));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(path.join(directory, 'c1.eth0.json')).mode & 0o777).toBe(0o600);
  });
});

describe('the directory of endpoints after a crash', () => {
  it('loses half-written files', async () => {
    const store = await open();
    store.persist(container('c1'));
    writeFileSync(path.join(directory, 'c2.eth0.json.tmp'), '{"containerId":');
    expect((await open()).list().map(({ containerId }) => containerId)).toEqual(['c1']);
    expect(readdirSync(directory)).toEqual(['c1.eth0.json']);
  });

  it.each(['', '{', '[]', '{"containerId":"c1"}'])(
    'keeps a file with %j, because an operator may need it',
    async (text) => {
      mkdirSync(directory, { mode: 0o700 });
      writeFileSync(path.join(directory, 'c1.eth0.json'), text);
      expect((await open()).list()).toEqual([]);
      expect(readFileSync(path.join(directory, 'c1.eth0.json'), 'utf8')).toBe(text);
    },
  );

  it('may contain folders, which neither stop the agent nor are removed', async () => {
    for (const name of ['lost+found', 'c1.eth0.json'])
      mkdirSync(path.join(directory, name), { recursive: true });
    expect((await open()).list()).toEqual([]);
    expect(existsSync(path.join(directory, 'lost+found'))).toBe(true);
  });
});
