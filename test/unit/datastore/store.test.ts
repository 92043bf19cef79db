import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Change, Store } from '../../../datastore/embedded/store.ts';
import type { AnyResource } from '../../../datastore/schema/resource.ts';
import { silentLog } from '../../../lib/log.ts';

const object = (name: string, value = 0): AnyResource => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name },
  spec: { value },
});

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'cali-store-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = (more = {}) => Store.open({ directory, ...more }, silentLog);
const journal = () => path.join(directory, 'journal.log');

describe('the embedded store', () => {
  it('has everything that it acknowledged after a restart, with the same revisions', async () => {
    const store = await open();
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => store.commit(`k${i % 10}`, object(`k${i % 10}`, i))),
    );
    await store.commit('k3', null);
    const before = store.list('');
    await store.close();
    const again = await open();
    expect(again.list('')).toEqual(before);
    expect(again.revision).toBe(51);
    expect(again.get('k3')).toBeUndefined();
    await again.close();
  });

  it('drops only a torn last record, wherever it was cut', async () => {
    const store = await open();
    for (let i = 0; i < 5; i++) await store.commit(`k${i}`, object(`k${i}`, i));
    await store.close();
    const whole = readFileSync(journal());
    const lastStart = whole.lastIndexOf('\n', whole.length - 2) + 1;
    for (let cut = lastStart; cut < whole.length; cut++) {
      writeFileSync(journal(), whole);
      truncateSync(journal(), cut);
      const again = await open();
      expect(again.list('').map(({ metadata }) => metadata.name)).toEqual(['k0', 'k1', 'k2', 'k3']);
      await again.commit('new', object('new'));
      await again.close();
      const third = await open();
      expect(third.get('new')).toBeDefined();
      await third.close();
    }
  });

  it('refuses a journal that is damaged in the middle, with the line and the remedy', async () => {
    const store = await open();
    for (let i = 0; i < 3; i++) await store.commit(`k${i}`, object(`k${i}`));
    await store.close();
    const lines = readFileSync(journal(), 'utf8').split('\n');
    lines[1] = lines[1]!.replace('Thing', 'Thong');
    writeFileSync(journal(), lines.join('\n'));
    await expect(open()).rejects.toThrow(
      /journal\.log: record 2 is damaged.*restore the directory from a backup/,
    );
  });

  it('snapshots a long journal, and survives a crash between snapshot and truncation', async () => {
    const store = await open({ compactBytes: 2000 });
    for (let i = 0; i < 60; i++) await store.commit(`k${i % 7}`, object(`k${i % 7}`, i));
    const before = store.list('');
    await store.close();
    expect(statSync(path.join(directory, 'snapshot.json')).size).toBeGreaterThan(0);
    // The journal still contains records that the snapshot already has.
    const { revision, objects } = JSON.parse(readFileSync(path.join(directory, 'snapshot.json'), 'utf8'));
    expect(revision).toBeGreaterThan(10);
    expect(objects.length).toBe(7);
    const old = readFileSync(journal(), 'utf8');
    writeFileSync(journal(), '');
    appendFileSync(journal(), old);
    const again = await open();
    expect(again.list('')).toEqual(before);
    await again.close();
  });

  it('sends a watch every change once, in order, from any point of its history', async () => {
    const store = await open({ historyLimit: 20 });
    for (let i = 0; i < 12; i++) await store.commit('k', object('k', i));
    const seen: Change[] = [];
    const stop = store.watch(5, (change) => seen.push(change));
    for (let i = 0; i < 3; i++) await store.commit('k', object('k', 100 + i));
    expect(seen.map(({ revision }) => revision)).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    stop?.();
    for (let i = 0; i < 30; i++) await store.commit('k', object('k', i));
    expect(seen).toHaveLength(10);
    expect(store.watch(5, () => undefined)).toBeUndefined();
    expect(store.watch(9999, () => undefined)).toBeUndefined();
    await store.close();
  });

  it('shows no change before it is on disk', async () => {
    const store = await open();
    const seen: number[] = [];
    store.watch(0, ({ revision }) => seen.push(revision));
    const writing = store.commit('k', object('k'));
    expect(seen).toEqual([]);
    expect(store.revision).toBe(0);
    await writing;
    expect(seen).toEqual([1]);
    expect(readFileSync(journal(), 'utf8')).toContain('"revision":1');
    await store.close();
  });
});
