import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { run } from '../../../calictl/program.ts';
import { podKind } from '../../../datastore/schema/core.ts';
import { CalictlWorld } from '../../helpers/calictl.ts';

const pod = (
  namespace: string,
  name: string,
  spec: object,
  status: object = {},
  annotations: object = {},
) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { namespace, name, labels: { app: 'web' }, annotations },
  spec,
  status,
});

let world: CalictlWorld;
beforeAll(async () => {
  world = await CalictlWorld.start();
  const podIPs = { 'cni.projectcalico.org/podIPs': '10.0.0.5/32,fd00::5/128' };
  const service = { nodeName: 'node-1', serviceAccountName: 'robot' };
  for (const one of [
    pod('default', 'web-1', service, {}, podIPs),
    pod('default', 'done', { nodeName: 'n2' }, { phase: 'Succeeded', podIP: '10.0.0.6' }),
    pod('default', 'host', { nodeName: 'n2', hostNetwork: true }, { podIP: '192.0.2.1' }),
    pod('default', 'pending', {}),
    pod('kube-system', 'dns', { nodeName: 'n2' }, { podIPs: [{ ip: '10.0.0.7' }] }),
  ])
    await world.client.create(podKind, one);
});
afterAll(() => world.stop());

const name = 'node--1-k8s-web--1-eth0';
const out = async (...args: string[]) => (await world.calictl('get', 'wep', ...args)).out;

describe('calictl get workloadendpoint', () => {
  it('shows an endpoint for each pod that Cali networks', async () => {
    expect((await out()).replace(/cali[0-9a-f]{11}/g, 'cali…')).toBe(
      [
        'WORKLOAD   NODE     NETWORKS                  INTERFACE',
        'done       n2                                 cali…',
        'web-1      node-1   10.0.0.5/32,fd00::5/128   cali…',
        'dns        n2       10.0.0.7/32               cali…',
        '',
      ].join('\n'),
    );
    expect(await out('-A')).toMatch(/^NAMESPACE +WORKLOAD.*\nkube-system +dns /s);
    expect(await out('-n', 'kube-system')).toMatch(/^NAMESPACE +WORKLOAD.*\nkube-system +dns .*\n$/);
    expect(await out('-o', 'wide')).toMatch(
      /^NAME +WORKLOAD +NODE +NETWORKS +INTERFACE +PROFILES +NATS\n.*node--1-k8s-web--1-eth0 +web-1 .* kns\.default,ksa\.default\.robot\n/s,
    );
  });

  it('folds cells on a terminal that is too narrow, unless that cannot help', async () => {
    const on = async (columns: number) => {
      let text = '';
      const streams = { out: (more: string) => (text += more), err: () => {}, columns: () => columns };
      const args = ['get', 'wep', '--kubeconfig', path.join(world.folder, 'kubeconfig')];
      expect(await run(args, streams)).toBe(0);
      return text;
    };
    expect(await on(20)).toBe(await on(120));
    expect((await on(60)).replace(/cali[0-9a-f]{11}/g, 'cali12345678901')).toBe(
      [
        'WORKLOAD   NODE     NETWORKS       INTERFACE',
        'done       n2                      cali12345678901',
        'web-1      node-1   10.0.0.5/32,   cali12345678901',
        '                    fd00::5/128',
        'dns        n2       10.0.0.7/32    cali12345678901',
        '',
      ].join('\n'),
    );
  });

  it('shows a single endpoint by name in its namespace', async () => {
    expect(parse(await out(name, '-o', 'yaml'))).toMatchObject({
      apiVersion: 'projectcalico.org/v3',
      kind: 'WorkloadEndpoint',
      metadata: {
        name,
        namespace: 'default',
        labels: {
          app: 'web',
          'projectcalico.org/namespace': 'default',
          'projectcalico.org/orchestrator': 'k8s',
          'projectcalico.org/serviceaccount': 'robot',
        },
      },
      spec: {
        orchestrator: 'k8s',
        node: 'node-1',
        pod: 'web-1',
        endpoint: 'eth0',
        interfaceName: expect.stringMatching(/^cali[0-9a-f]{11}$/),
        profiles: ['kns.default', 'ksa.default.robot'],
        ipNetworks: ['10.0.0.5/32', 'fd00::5/128'],
        serviceAccountName: 'robot',
      },
    });
    expect((await world.calictl('get', 'wep', name, '-n', 'kube-system')).err).toBe(
      `resource does not exist: WorkloadEndpoint(${name})\n`,
    );
  });

  it('shows endpoints that apply, delete, patch and label refuse to change', async () => {
    const { out: text } = await world.calictl('get', 'wep', name, '-o', 'yaml');
    const file = world.file('wep.yaml', text);
    for (const args of [
      ['apply', '-f', file],
      ['delete', 'wep', name],
      ['patch', 'wep', name, '-p', '{"spec":{"node":"n3"}}'],
      ['label', 'wep', name, 'a=b'],
    ]) {
      const { code, err } = await world.calictl(...args);
      expect(code).toBe(1);
      expect(err).toMatch(/is derived from its Pod/);
    }
  });
});
