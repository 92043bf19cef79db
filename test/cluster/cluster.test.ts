/**
 * The manifest on a real Kubernetes: ../shared/cluster makes a cluster of several nodes on this machine. `npm run
 * test:cluster` runs this file, and skips it if that tool is missing.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root, until } from '../helpers/lab.ts';
import { documents } from './documents.ts';
import { hostLocal } from './host-local.ts';
import {
  apply,
  applyFolder,
  asking,
  IMAGE,
  kubectl,
  NODES,
  pods,
  ready,
  serving,
  WEB,
} from './kubernetes.ts';
import { routeReflectors } from './reflectors.ts';
import { restarts } from './restarts.ts';
import { rights, stopWatchingRights, watchRights } from './rights.ts';
import { buildCluster, canRun, cluster, loadWebImage, tool } from './set-up.ts';
import { topOfRack } from './top-of-rack.ts';

/** Whether to keep the cluster after the tests, for the next run to use. */
const KEEPS = process.env['CALI_TEST_KEEP_CLUSTER'] === '1';

describe.skipIf(!canRun)(
  'Cali on a real Kubernetes cluster (skipped without ../shared/cluster, or unless run as root)',
  { timeout: 600_000 },
  () => {
    beforeAll(() => {
      watchRights();
      // Uses the cluster that an earlier run kept, to run a single scenario: -t NAME.
      if (KEEPS && spawnSync(tool, ['kubectl', 'get', 'daemonset', 'each']).status === 0) return;
      buildCluster();
      cluster('up', String(NODES.length));
      loadWebImage(WEB);
      cluster('dockerfile', IMAGE, root, path.join(root, 'deploy', 'image', 'Dockerfile'));
    }, 1_800_000);
    afterAll(() => {
      stopWatchingRights();
      if (canRun && !KEEPS) cluster('down');
    }, 300_000);

    it('makes its nodes Ready within 30 s of kubectl apply, and reports their network as available', async () => {
      applyFolder('manifests');
      const conditions = (type: string) =>
        kubectl('get', 'nodes', '-o', `jsonpath={.items[*].status.conditions[?(@.type=="${type}")].status}`);
      const took = await until('all nodes are Ready', 60_000, () => conditions('Ready') === 'True True True');
      expect(took).toBeLessThan(30_000);
      await until(
        'no node has NetworkUnavailable',
        30_000,
        () => conditions('NetworkUnavailable') === 'False False False',
      );
    });

    it('is unchanged by a second kubectl apply', () => {
      expect(
        applyFolder('manifests')
          .split('\n')
          .filter((line) => !/ unchanged$|^$/.test(line)),
      ).toEqual([]);
    });

    it('lets every pod reach every pod, every node and the API server, and every node every pod', async () => {
      apply(
        serving('DaemonSet', 'each', { ports: [{ containerPort: 8080, hostPort: 8088 }] }),
        serving('Deployment', 'many', {}, { replicas: 20 }),
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'many' },
          spec: {
            type: 'NodePort',
            selector: { app: 'many' },
            ports: [{ port: 80, targetPort: 8080, nodePort: 30080 }],
          },
        },
      );
      const all = () => [...pods('app=each'), ...pods('app=many')];
      await ready('app=each', 3);
      await ready('app=many', 20);
      const addresses = all().map(({ status }) => status.podIP!);
      expect(new Set(addresses).size).toBe(23);
      const nodeAddresses = kubectl(
        'get',
        'nodes',
        '-o',
        'jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}',
      ).split(' ');
      const service = kubectl('get', 'service', 'many', '-o', 'jsonpath={.spec.clusterIP}');
      const targets = [
        ...addresses.map((address) => `${address}:8080`),
        ...nodeAddresses.flatMap((address) => [`${address}:30080`, `${address}:8088`]),
        `${service}:80`,
      ];
      const toApi = 'nc -w 3 10.96.0.1 443 < /dev/null || echo the API';
      const failures: string[] = [];
      const note = (from: string, output: string) =>
        failures.push(
          ...output
            .split('\n')
            .filter(Boolean)
            .map((to) => `${from} to ${to}`),
        );
      for (const { metadata } of all())
        note(metadata.name, kubectl('exec', metadata.name, '--', 'sh', '-c', `${asking(targets)}; ${toApi}`));
      for (const node of NODES) {
        const list = addresses.map((address) => `${address}:8080`);
        note(node, cluster('exec', node, 'busybox', 'sh', '-c', asking(list)));
      }
      expect(failures).toEqual([]);
      kubectl('delete', 'deployment', 'many');
    });

    restarts();
    routeReflectors();
    topOfRack();
    documents();
    hostLocal();
    rights();
  },
);
