/** Performs the plan's actions in a lab, all inside its namespaces. */
import { type TestLab, until } from '../helpers/lab.ts';
import type { Action, Disturbance } from './plan.ts';

/** Each node's uplink as the lab made it, with the `ip` commands that restore it. */
export type Uplinks = Map<string, { readonly v4: string; readonly v6: string; readonly restore: string }>;

/** Performs an action. Throws if the lab or calictl refuses what must work. */
export async function performAction(lab: TestLab, uplinks: Uplinks, action: Action): Promise<void> {
  switch (action.do) {
    case 'pod add':
      await addPod(lab, action.node, action.pod, action.pool);
      return;
    case 'pod add interrupted': {
      const added = lab.ask({ do: 'pod add', node: action.node, name: action.pod });
      const outcome = added.then(
        () => true,
        () => false,
      );
      await pause(action.afterMs);
      await lab.ask({ do: 'node kill', name: action.node });
      const isAdded = await outcome;
      await lab.ask({ do: 'node start', name: action.node });
      // Adds the pod again, as the kubelet does.
      if (!isAdded) await addPod(lab, action.node, action.pod, undefined);
      return;
    }
    case 'pod delete':
      await lab.ask({ do: 'pod delete', name: action.pod });
      return;
    case 'agent':
      await lab.ask({ do: `node ${action.verb}`, name: action.node });
      return;
    case 'api':
      await lab.ask({ do: `api ${action.verb}` });
      return;
    case 'node add':
      await lab.ask({ do: 'node add', name: action.node, subnet: action.subnet });
      remember(lab, uplinks, action.node);
      return;
    case 'node delete':
      await lab.ask({ do: 'node delete', name: action.node });
      uplinks.delete(action.node);
      return;
    case 'pool add':
      createPool(lab, action.pool, action.cidr);
      return;
    case 'pool switch':
      lab.sh('lab', `calictl patch ippool ${action.pool} -p '{"spec":{"disabled":${action.disabled}}}'`);
      return;
    case 'pool delete':
      lab.sh('lab', `calictl delete ippool ${action.pool}`);
      return;
    case 'disturb':
      lab.sh(action.node, disturbances[action.how](uplinks.get(action.node)!));
      return;
    case 'mend':
      lab.sh(action.node, uplinks.get(action.node)!.restore);
      return;
    default:
      throw new Error(`unreachable action ${JSON.stringify(action satisfies never)}`);
  }
}

/** Adds a pod and retries as the kubelet does, for example if the node has not seen the pool yet. */
async function addPod(lab: TestLab, node: string, name: string, pool: string | undefined): Promise<void> {
  const annotations = pool ? { 'cni.projectcalico.org/ipv4pools': JSON.stringify([pool]) } : {};
  let reason = '';
  await until(`pod ${name} is added on ${node}`, 60_000, async () => {
    try {
      await lab.ask({ do: 'pod add', node, name, annotations });
      return true;
    } catch (error) {
      reason = String(error);
      await pause(200);
      return false;
    }
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${reason}`);
  });
}

/** Creates a pool from the API server's namespace, because any node may be cut off. */
function createPool(lab: TestLab, name: string, cidr: string): void {
  const spec = { cidr, blockSize: 29, vxlanMode: 'CrossSubnet', natOutgoing: true };
  const object = { apiVersion: 'projectcalico.org/v3', kind: 'IPPool', metadata: { name }, spec };
  const { code, stderr } = lab.pipe('lab', JSON.stringify(object), 'calictl', 'create', '-f', '-');
  if (code !== 0) throw new Error(`IPPool ${name}: ${stderr}`);
}

/** 198.51.100.0/24 is reserved for documentation (RFC 5737), so no host uses it. */
const SECOND = '198.51.100.77/24';

const disturbances: Readonly<Record<Disturbance, (uplink: { v4: string; v6: string }) => string>> = {
  'no IPv4': ({ v4 }) => `ip addr del ${v4} dev eth0`,
  'no IPv6': ({ v6 }) => `ip addr del ${v6} dev eth0`,
  'uplink down': () => 'ip link set eth0 down',
  'second address': () => `ip addr add ${SECOND} dev eth0`,
};

/** Records a node's uplink, so that it can be restored. */
export function remember(lab: TestLab, uplinks: Uplinks, node: string): void {
  const words = (line: string) => lab.sh(node, line).trim();
  const address = (family: 4 | 6) =>
    words(`ip -${family} -br addr show dev eth0 scope global`).split(/\s+/)[2]!;
  const gateway = (family: 4 | 6) =>
    /via (\S+)/.exec(words(`ip -${family} route show default dev eth0`))![1]!;
  const [v4, v6] = [address(4), address(6)];
  const restore = [
    'ip link set eth0 up',
    `ip addr replace ${v4} dev eth0`,
    `ip addr replace ${v6} dev eth0 nodad`,
    `ip route replace default via ${gateway(4)} dev eth0`,
    `ip -6 route replace default via ${gateway(6)} dev eth0`,
    `ip addr del ${SECOND} dev eth0 2>/dev/null; true`,
  ].join('\n');
  uplinks.set(node, { v4, v6, restore });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
