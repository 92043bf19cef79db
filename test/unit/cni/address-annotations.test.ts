import { beforeEach, describe, expect, it } from 'vitest';
import { clearAnnotations, writeAnnotations } from '../../../cni/address-annotations.ts';
import { podKind } from '../../../datastore/schema/core.ts';
import { silentLog } from '../../../lib/log.ts';
import { endpoint } from '../../helpers/calc-input.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';

let store: MemoryStore;
let writes: number;
beforeEach(async () => {
  store = new MemoryStore();
  writes = 0;
  await store.create(podKind, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default', annotations: { other: 'x' } },
  });
  store.after = () => writes++;
});

const pod = (containerId: string, ...addresses: string[]) => ({
  ...endpoint('cali1', ...addresses),
  containerId,
  namespace: 'default',
  pod: 'p',
});
const annotations = () => store.all(podKind)[0]?.metadata.annotations;

describe('the annotations of a pod', () => {
  it('have its addresses as host networks, the first one also alone, and keep other annotations', async () => {
    await writeAnnotations(store, pod('c1', '10.0.0.5', 'fd00::5'));
    expect(annotations()).toEqual({
      other: 'x',
      'cni.projectcalico.org/podIP': '10.0.0.5/32',
      'cni.projectcalico.org/podIPs': '10.0.0.5/32,fd00::5/128',
      'cni.projectcalico.org/containerID': 'c1',
    });
  });

  it('are emptied when its container ends', async () => {
    await writeAnnotations(store, pod('c1', '10.0.0.5'));
    await clearAnnotations({ store, log: silentLog }, pod('c1'));
    expect(annotations()).toMatchObject({
      'cni.projectcalico.org/podIP': '',
      'cni.projectcalico.org/podIPs': '',
    });
  });

  it('are those of the newest container, also when an earlier one ends later', async () => {
    await writeAnnotations(store, pod('c2', '10.0.0.6'));
    await clearAnnotations({ store, log: silentLog }, pod('c1'));
    expect(annotations()).toMatchObject({ 'cni.projectcalico.org/podIP': '10.0.0.6/32' });
  });

  it('are not emptied when no container wrote them', async () => {
    await clearAnnotations({ store, log: silentLog }, pod('c1'));
    expect(writes).toBe(0);
  });

  it('cannot fail the end of a container', async () => {
    store.before = async () => {
      throw new Error('no answer');
    };
    await expect(clearAnnotations({ store, log: silentLog }, pod('c1'))).resolves.toBeUndefined();
    await expect(writeAnnotations(store, pod('c1', '10.0.0.5'))).rejects.toThrow('no answer');
  });

  it('exist only for pods: a container that is not a pod has none', async () => {
    await writeAnnotations(store, endpoint('cali1', '10.0.0.5'));
    await clearAnnotations({ store, log: silentLog }, { ...pod('c1'), namespace: '' });
    expect(writes).toBe(0);
  });
});
