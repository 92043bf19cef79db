/** Agents, nodes, the API server and etcd go down while packets flow. */
import { expect, it } from 'vitest';
import { until } from '../helpers/lab.ts';
import { stopDaemon } from './daemons.ts';
import {
  apply,
  calictl,
  Flows,
  isReady,
  killContainer,
  kubectl,
  NODES,
  onNode,
  type PodObject,
  pods,
  ready,
  serving,
  unreachable,
} from './kubernetes.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const addresses = (list: readonly PodObject[]) => list.map(({ status }) => `${status.podIP}:8080`);

export function restarts(): void {
  it('loses no packet and breaks no stream in a rolling restart of the DaemonSet', async () => {
    const flows = new Flows(await ready('app=each', 3));
    flows.start();
    kubectl('-n', 'kube-system', 'rollout', 'restart', 'daemonset/cali-node');
    kubectl('-n', 'kube-system', 'rollout', 'status', 'daemonset/cali-node', '--timeout=240s');
    await sleep(3_000);
    const { sent, lost } = await flows.stop();
    process.stdout.write(`rolling restart: ${sent} pings, ${lost.length} flows with losses\n`);
    expect(sent).toBeGreaterThan(6 * 1000);
    expect(lost).toEqual([]);
  });

  it('keeps forwarding while the API server is down for 60 s, and while etcd restarts', async () => {
    const list = await ready('app=each', 3);
    const flows = new Flows(list);
    flows.start();
    const startServer = await stopDaemon('apiserver');
    await sleep(60_000);
    startServer();
    await until('the API server is ready', 60_000, () => {
      try {
        return kubectl('get', '--raw', '/readyz') === 'ok';
      } catch {
        return false;
      }
    });
    const startEtcd = await stopDaemon('etcd', 'SIGKILL');
    startEtcd();
    await until('the API server accepts writes again', 60_000, () => {
      try {
        apply(serving('Deployment', 'after'));
        return true;
      } catch {
        return false;
      }
    });
    const [after] = await ready('app=after', 1);
    expect(unreachable([after!], addresses(list))).toEqual([]);
    const { sent, lost } = await flows.stop();
    process.stdout.write(`API server down, etcd killed: ${sent} pings, ${lost.length} flows with losses\n`);
    expect(lost).toEqual([]);
    kubectl('delete', 'deployment', 'after');
  });

  it('leaves IPAM clean when agents are killed while 30 pods are created and 30 are deleted', async () => {
    apply(serving('Deployment', 'old', {}, { replicas: 30 }));
    await ready('app=old', 30);
    apply(
      serving('Deployment', 'new', {}, { replicas: 30 }),
      serving('Deployment', 'old', {}, { replicas: 0 }),
    );
    let killed = 0;
    for (let round = 0; round < 3; round++) {
      await sleep(2_000);
      killed += NODES.filter(killAgent).length;
    }
    // The first round kills all of them; in later rounds an agent may still be starting.
    expect(killed).toBeGreaterThanOrEqual(NODES.length);
    const list = await ready('app=new', 30, 240_000);
    await until('the 30 old pods are gone', 120_000, () => pods('app=old').length === 0);
    expect(new Set(list.map(({ status }) => status.podIP)).size).toBe(30);
    const [first] = list;
    await until('every pod is reachable', 60_000, () => unreachable([first!], addresses(list)).length === 0);
    let check = '';
    // 15 s after its start, an agent looks for what its predecessors left.
    await until('ipam check is clean', 90_000, () => {
      check = calictl('node1', 'ipam', 'check').output;
      return check.includes('Check complete; found 0 problems.');
    }).catch(() => expect(check).toContain('found 0 problems'));
    kubectl('delete', 'deployment', 'old', 'new');
    // An agent that was killed three times restarts only after 40 s; until then no pod of its node can end.
    await until('every agent is Ready again', 120_000, () => {
      const agents = pods('k8s-app=cali-node', 'kube-system');
      return agents.length === NODES.length && agents.every(isReady);
    });
  });

  it('recovers when a node is drained, deleted and added again', async () => {
    apply({
      apiVersion: 'projectcalico.org/v3',
      kind: 'KubeControllersConfiguration',
      metadata: { name: 'default' },
      spec: { controllers: { node: { leakGracePeriod: '5s', reconcilerPeriod: '2s' } } },
    });
    kubectl('drain', 'node3', '--ignore-daemonsets', '--force', '--delete-emptydir-data', '--timeout=180s');
    const startKubelet = await stopDaemon('node3-kubelet');
    kubectl('delete', 'node', 'node3');
    const blocksOf3 = () => kubectl('get', 'blockaffinities.projectcalico.org').includes('node3');
    await until('the blocks of node3 are released', 120_000, () => !blocksOf3());
    expect(onNode('node1', 'ip route')).not.toContain('172.30.1.13');
    expect(calictl('node1', 'ipam', 'check').output).toContain('found 0 problems');
    startKubelet();
    await until('node3 is Ready again', 120_000, () =>
      /^node3\s+Ready/m.test(kubectl('get', 'nodes', '--no-headers')),
    );
    const list = await ready('app=each', 3);
    // The new node's sessions and tunnel come up while its pods start.
    await until('every pod reaches every pod', 60_000, () => unreachable(list, addresses(list)).length === 0);
    await until('ipam check is clean', 120_000, () => calictl('node1', 'ipam', 'check').status === 0);
  });

  it('assigns each of 100 pods, created at once on one node, its own address', async () => {
    const before = onAgent(NODES[0]!);
    const started = Date.now();
    const podSpec = { nodeSelector: { 'kubernetes.io/hostname': 'node1' } };
    const hundred = serving('Deployment', 'hundred', {}, { replicas: 100 });
    Object.assign(hundred.spec.template.spec, podSpec);
    apply(hundred);
    const list = await ready('app=hundred', 100, 280_000);
    const seconds = (Date.now() - started) / 1000;
    expect(new Set(list.map(({ status }) => status.podIP)).size).toBe(100);
    const after = onAgent(NODES[0]!);
    process.stdout.write(
      `100 pods on one node: all Ready after ${seconds.toFixed(0)} s; ADD ${quantile(before, after, 0.5)} at the median, ${quantile(before, after, 0.99)} at p99\n`,
    );
    expect(unreachable([list[0]!], addresses(list))).toEqual([]);
    kubectl('delete', 'deployment', 'hundred');
    await until('the 100 pods are gone', 200_000, () => pods('app=hundred').length === 0);
    await until('ipam check is clean', 120_000, () => calictl('node1', 'ipam', 'check').status === 0);
  });
}

/** Kills the agent of a node. Returns false if none is running because the last one was just killed. */
function killAgent(node: string): boolean {
  const agent = pods('k8s-app=cali-node', 'kube-system').find(({ spec }) => spec.nodeName === node);
  return agent !== undefined && killContainer(agent);
}

/** Returns counts of CNI ADDs by upper bound in seconds, from the agent's metrics. */
function onAgent(node: string): Map<number, number> {
  const text = onNode(node, 'busybox wget -q -O - http://127.0.0.1:9091/metrics');
  const lines = text.matchAll(/^cali_cni_duration_seconds_bucket\{le="([^"]+)",command="ADD"\} (\d+)$/gm);
  return new Map(
    [...lines].map(([, bound, count]) => [bound === '+Inf' ? Infinity : Number(bound), Number(count)]),
  );
}

function quantile(before: Map<number, number>, after: Map<number, number>, share: number): string {
  const counts = [...after].map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)] as const);
  const total = counts.at(-1)?.[1] ?? 0;
  const bound = counts.find(([, count]) => count >= share * total)?.[0];
  if (bound === undefined) return 'unknown';
  return bound === Infinity ? 'above 80 s' : `at most ${bound} s`;
}
