import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../../calictl/connection.ts';
import { kubeconfigText } from '../../helpers/kubeconfig.ts';

let folder: string;
let kubeconfig: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-connection-'));
  kubeconfig = file('kubeconfig', kubeconfigText('http://127.0.0.1:7'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const full = path.join(folder, name);
  writeFileSync(full, text);
  return full;
}
const calicoctl = (spec: object) =>
  file(
    'calicoctl.cfg',
    JSON.stringify({ apiVersion: 'projectcalico.org/v3', kind: 'CalicoAPIConfig', metadata: {}, spec }),
  );

describe('the configuration of calicoctl', () => {
  it('names the kubeconfig', async () => {
    const { url } = await connect({ config: calicoctl({ datastoreType: 'kubernetes', kubeconfig }) });
    expect(String(url)).toMatch(/^http:\/\/127\.0\.0\.1:7/);
  });

  it('yields to --kubeconfig', async () => {
    const other = file('other', kubeconfigText('http://127.0.0.1:8'));
    const { url } = await connect({ config: calicoctl({ kubeconfig }), kubeconfig: other });
    expect(String(url)).toMatch(/^http:\/\/127\.0\.0\.1:8/);
  });

  it('is checked even if --kubeconfig overrides it', async () => {
    const config = calicoctl({ datastoreType: 'etcdv3' });
    await expect(connect({ config, kubeconfig })).rejects.toThrow(
      'spec.datastoreType is etcdv3: use kubernetes',
    );
  });

  it.each(['k8sAPIEndpoint', 'k8sAPIToken', 'k8sCAFile'])(
    'with %s is refused, because calictl would use another API server or user',
    async (field) => {
      await expect(connect({ config: calicoctl({ kubeconfig, [field]: 'x' }) })).rejects.toThrow(
        `spec.${field} is not supported: set spec.kubeconfig`,
      );
    },
  );

  it.each([
    ['kind: Config', 'is not a CalicoAPIConfig: use --kubeconfig FILE'],
    ['', 'is not a CalicoAPIConfig'],
    ['- a', 'is not a CalicoAPIConfig'],
    ['kind: CalicoAPIConfig\nspec: {kubeconfig: 5}', 'is not a CalicoAPIConfig'],
    ['{a: [', 'cannot be read'],
  ])('that contains %j is refused', async (text, sentence) => {
    const config = file('broken.cfg', text);
    await expect(connect({ config })).rejects.toThrow(`--config ${config}: ${sentence}`);
  });
});
