/** Addresses from Node.spec.podCIDR instead of blocks. The last scenario, because earlier pods lose their addresses. */
import { expect, it } from 'vitest';
import { contains, mustCidr, parseAddress } from '../../lib/cidr.ts';
import { until } from '../helpers/lab.ts';
import { apply, kubectl, onNode, pods, ready, serving, unreachable } from './kubernetes.ts';

export function hostLocal(): void {
  it('assigns addresses from the node’s podCIDR with ipam: host-local', async () => {
    kubectl('delete', 'daemonset', 'each');
    await until('the DaemonSet’s pods are gone', 60_000, () => pods('app=each').length === 0);
    kubectl(
      '-n',
      'kube-system',
      'patch',
      'configmap',
      'cali-config',
      '--type',
      'merge',
      '-p',
      '{"data":{"ipam":"host-local"}}',
    );
    kubectl('-n', 'kube-system', 'rollout', 'restart', 'daemonset/cali-node');
    kubectl('-n', 'kube-system', 'rollout', 'status', 'daemonset/cali-node', '--timeout=240s');
    apply(serving('DaemonSet', 'local'));
    const list = await ready('app=local', 3);
    for (const { spec, status } of list) {
      const range = kubectl('get', 'node', spec.nodeName, '-o', 'jsonpath={.spec.podCIDR}');
      expect(contains(mustCidr(range), parseAddress(status.podIP!)!)).toBe(true);
      expect(onNode(spec.nodeName, 'ip route')).toContain(`blackhole ${range}`);
    }
    const targets = list.map(({ status }) => `${status.podIP}:8080`);
    await until('the pods reach each other', 60_000, () => unreachable(list, targets).length === 0);
    // After a restart, the same addresses are still allocated.
    kubectl('-n', 'kube-system', 'rollout', 'restart', 'daemonset/cali-node');
    kubectl('-n', 'kube-system', 'rollout', 'status', 'daemonset/cali-node', '--timeout=240s');
    apply(serving('Deployment', 'more', {}, { replicas: 9 }));
    const more = await ready('app=more', 9);
    expect(new Set([...list, ...more].map(({ status }) => status.podIP)).size).toBe(12);
  });
}
