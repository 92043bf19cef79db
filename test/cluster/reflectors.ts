/** From the mesh to route reflectors and back, with manifests only, under traffic. */
import path from 'node:path';
import { expect, it } from 'vitest';
import { root, until } from '../helpers/lab.ts';
import {
  applyFolder,
  calictl,
  Flows,
  isReady,
  killContainer,
  kubectl,
  NODES,
  type PodObject,
  pods,
  ready,
} from './kubernetes.ts';

const overlay = path.join(root, 'deploy', 'overlays', 'route-reflector');
const reflectors = () => pods('k8s-app=cali-reflector', 'kube-system');
/** Whether exactly two reflectors exist and are Ready: terminating pods of an earlier Deployment must be gone. */
const isPair = () => {
  const list: readonly PodObject[] = reflectors();
  return list.length === 2 && list.every(isReady);
};
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Returns the sessions of a node: type and state. */
function sessions(node: string): string[] {
  // calictl fails while a session is down, and prints nothing while the agent is starting.
  const { stdout } = calictl(node, 'node', 'status', '-o', 'json');
  if (stdout === '') return [];
  const status = JSON.parse(stdout) as {
    bgp: { peers: { config: { peerType: string; port: number }; state: string }[] };
  };
  return status.bgp.peers.map(({ config, state }) => `${config.peerType} ${config.port} ${state}`).sort();
}
const mesh = Array(2).fill('node-to-node mesh 179 Established') as string[];
const reflected = 'node specific 1790 Established';
/** Two reflectors and no mesh; sessions to removed reflectors may be kept for the restart time. */
const isReflected = () =>
  NODES.every((node) => {
    const now = sessions(node);
    return now.filter((one) => one === reflected).length === 2 && !now.includes(mesh[0]!);
  });
const everywhere = (wanted: readonly string[]) =>
  NODES.every((node) => JSON.stringify(sessions(node)) === JSON.stringify(wanted));

export function routeReflectors(): void {
  it('changes from mesh to two reflectors and back without losing a packet', async () => {
    const flows = new Flows(await ready('app=each', 3));
    flows.start();
    applyFolder('overlays/route-reflector');
    await until('every node has sessions with the two reflectors and no mesh sessions', 120_000, isReflected);
    await sleep(5_000);
    applyFolder('overlays/mesh');
    await until('every node has mesh sessions next to those with the reflectors', 60_000, () =>
      NODES.every((node) => sessions(node).filter((one) => one === mesh[0]).length === 2),
    );
    kubectl('delete', '-f', path.join(overlay, 'reflector.yaml'));
    await until('every node has only its mesh sessions', 120_000, () => everywhere(mesh));
    await sleep(5_000);
    const { sent, lost } = await flows.stop();
    process.stdout.write(`mesh to reflectors and back: ${sent} pings, ${lost.length} flows with losses\n`);
    expect(lost).toEqual([]);
  });

  it('keeps forwarding when both reflectors are killed, and when their pods are deleted', async () => {
    applyFolder('overlays/route-reflector');
    await until('every node has sessions with the two reflectors', 120_000, isReflected);
    await until('two reflectors are Ready', 60_000, isPair);
    const flows = new Flows(await ready('app=each', 3));
    flows.start();
    expect(reflectors().map(killContainer)).toEqual([true, true]);
    await sleep(1_000);
    await until('every node has its sessions with the reflectors again', 120_000, isReflected);
    kubectl(
      '-n',
      'kube-system',
      'delete',
      'pods',
      '-l',
      'k8s-app=cali-reflector',
      '--force',
      '--grace-period=0',
    );
    await until('two new reflectors are Ready', 60_000, isPair);
    await until('every node has sessions with the new reflectors', 120_000, isReflected);
    // The new reflectors may run on other nodes: those that left the Service must not be reported as problems.
    await until('no node reports a problem', 30_000, () =>
      NODES.every((node) => calictl(node, 'node', 'status').status === 0),
    );
    const { sent, lost } = await flows.stop();
    process.stdout.write(
      `both reflectors killed, then deleted: ${sent} pings, ${lost.length} flows with losses\n`,
    );
    // Restores the mesh before the check, so that a failure does not affect later tests.
    applyFolder('overlays/mesh');
    await sleep(5_000);
    kubectl('delete', '-f', path.join(overlay, 'reflector.yaml'));
    await until('every node has only its mesh sessions', 90_000, () => everywhere(mesh));
    expect(lost).toEqual([]);
  });
}
