/** BIRD as a router outside the cluster: it learns blocks and Service addresses, and its packets reach pods. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { it } from 'vitest';
import { hasProgram, until } from '../helpers/lab.ts';
import { apply, asking, kubectl, ready, serving } from './kubernetes.ts';

const NAMESPACE = 'kc-tor';
const PASSWORD = 'of the second rack';
const nodes = { node1: '172.30.1.11', node2: '172.30.2.12', node3: '172.30.1.13' };

const config = `
router id 172.30.1.200;
protocol device {}
protocol direct { ipv4; }
protocol kernel { merge paths yes; ipv4 { import none; export where source = RTS_BGP; }; }
${Object.entries(nodes)
  .map(
    ([name, address]) => `protocol bgp ${name} {
  local as 64999; neighbor ${address} as 64512; connect retry time 1; error wait time 1, 2;
  ${name === 'node2' ? `password "${PASSWORD}";` : ''}
  ipv4 { import all; export none; };
}`,
  )
  .join('\n')}
`;

function inside(command: string): string {
  const { status, stdout, stderr } = spawnSync('ip', ['netns', 'exec', NAMESPACE, 'sh', '-c', command], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout;
}

function shell(command: string): void {
  const { status, stderr } = spawnSync('sh', ['-ec', command], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

/** Makes a namespace with an interface in each of the cluster's subnets. */
function wire(): void {
  const leg = (subnet: 'a' | 'b', address: string) => `
    ip -n kc-router link add v-tor-${subnet} type veth peer name eth-${subnet} netns ${NAMESPACE}
    ip -n kc-router link set v-tor-${subnet} master br-${subnet} up
    ip -n ${NAMESPACE} addr add ${address}/24 dev eth-${subnet}
    ip -n ${NAMESPACE} link set eth-${subnet} up`;
  shell(`ip netns add ${NAMESPACE}; ip -n ${NAMESPACE} link set lo up; ip netns exec ${NAMESPACE} sysctl -qw net.ipv4.fib_multipath_hash_policy=1
    ${leg('a', '172.30.1.200')}
    ${leg('b', '172.30.2.200')}`);
}

/** Changes fields of BGPConfiguration default. */
function configure(spec: object): void {
  const patch = JSON.stringify({ spec });
  kubectl('patch', 'bgpconfigurations.projectcalico.org', 'default', '--type', 'merge', '-p', patch);
}

export function topOfRack(): void {
  it.skipIf(!hasProgram('bird'))(
    'advertises blocks and Services to a BIRD top-of-rack router (one session with TCP MD5; skipped without BIRD)',
    async () => {
      const folder = mkdtempSync(path.join(os.tmpdir(), 'cali-tor-'));
      writeFileSync(path.join(folder, 'bird.conf'), config);
      wire();
      const bird = spawn(
        'ip',
        [
          'netns',
          'exec',
          NAMESPACE,
          'bird',
          '-f',
          '-c',
          path.join(folder, 'bird.conf'),
          '-s',
          path.join(folder, 'ctl'),
        ],
        { stdio: 'ignore' },
      );
      const birdc = (...args: string[]) =>
        spawnSync('birdc', ['-r', '-s', path.join(folder, 'ctl'), ...args], { encoding: 'utf8' }).stdout;
      try {
        const here = serving('Deployment', 'here', {}, { replicas: 1 });
        Object.assign(here.spec.template.spec, { nodeSelector: { 'kubernetes.io/hostname': 'node1' } });
        apply(
          // Nodes must not pass on other nodes' blocks: packets would pass through nodes that see only one direction,
          // and kube-proxy drops those as invalid.
          {
            apiVersion: 'projectcalico.org/v3',
            kind: 'BGPFilter',
            metadata: { name: 'own' },
            spec: { exportV4: [{ action: 'Reject', source: 'RemotePeers' }] },
          },
          {
            apiVersion: 'projectcalico.org/v3',
            kind: 'BGPPeer',
            metadata: { name: 'tor-a' },
            spec: {
              nodeSelector: "kubernetes.io/hostname in {'node1', 'node3'}",
              peerIP: '172.30.1.200',
              asNumber: 64999,
              filters: ['own'],
            },
          },
          {
            apiVersion: 'projectcalico.org/v3',
            kind: 'BGPPeer',
            metadata: { name: 'tor-b' },
            spec: {
              node: 'node2',
              peerIP: '172.30.2.200',
              asNumber: 64999,
              filters: ['own'],
              password: { secretKeyRef: { name: 'bgp-secrets', key: 'tor-b' } },
            },
          },
          {
            apiVersion: 'v1',
            kind: 'Secret',
            metadata: { name: 'bgp-secrets', namespace: 'kube-system' },
            stringData: { 'tor-b': PASSWORD },
          },
          here,
          {
            apiVersion: 'v1',
            kind: 'Service',
            metadata: { name: 'here' },
            spec: {
              type: 'LoadBalancer',
              externalTrafficPolicy: 'Local',
              externalIPs: ['192.168.50.10'],
              selector: { app: 'here' },
              ports: [{ port: 80, targetPort: 8080 }],
            },
          },
          {
            apiVersion: 'v1',
            kind: 'Service',
            metadata: { name: 'each' },
            spec: { selector: { app: 'each' }, ports: [{ port: 80, targetPort: 8080 }] },
          },
        );
        const spec = {
          serviceClusterIPs: [{ cidr: '10.96.0.0/16' }],
          serviceExternalIPs: [{ cidr: '192.168.50.0/24' }],
        };
        configure(spec);
        await ready('app=here', 1);
        const list = await ready('app=each', 3);
        await until(
          'BIRD has three sessions',
          60_000,
          () => (birdc('show', 'protocols').match(/Established/g) ?? []).length === 3,
        );
        const routes = () => inside('ip route');
        await until(
          'BIRD has the routes to blocks and Services',
          30_000,
          () =>
            Object.values(nodes).every((address) =>
              new RegExp(`^10\\.244\\.\\d+\\.\\d+/26 via ${address} `, 'm').test(routes()),
            ) &&
            /^10\.96\.0\.0\/16/m.test(routes()) &&
            /^192\.168\.50\.10 via 172\.30\.1\.11/m.test(routes()),
        );
        const cluster = kubectl('get', 'service', 'each', '-o', 'jsonpath={.spec.clusterIP}');
        const targets = [
          ...list.map(({ status }) => `${status.podIP}:8080`),
          `${cluster}:80`,
          '192.168.50.10:80',
        ];
        // kube-proxy of a node may still be writing the rules of a Service.
        await until(
          'every target answers',
          30_000,
          () => inside(asking(targets).replace('wget', 'busybox wget')) === '',
        );
        // When the endpoint moves to another node, the route moves too.
        Object.assign(here.spec.template.spec, { nodeSelector: { 'kubernetes.io/hostname': 'node3' } });
        apply(here);
        await until(
          'the route follows the endpoint',
          60_000,
          () =>
            /^192\.168\.50\.10 via 172\.30\.1\.13 /m.test(routes()) &&
            !/192\.168\.50\.10 via 172\.30\.1\.11/.test(routes()),
        );
        await ready('app=here', 1);
        await until(
          'the Service answers at its new node',
          30_000,
          () => inside(asking(['192.168.50.10:80']).replace('wget', 'busybox wget')) === '',
        );
        // Removes the last endpoint.
        kubectl('scale', 'deployment', 'here', '--replicas=0');
        await until('the route is withdrawn', 30_000, () => !/^192\.168\.50\.10/m.test(routes()));
      } finally {
        bird.kill();
        kubectl('delete', 'bgppeers.projectcalico.org', 'tor-a', 'tor-b', '--ignore-not-found');
        kubectl('delete', 'bgpfilters.projectcalico.org', 'own', '--ignore-not-found');
        kubectl('delete', 'secret', '-n', 'kube-system', 'bgp-secrets', '--ignore-not-found');
        kubectl('delete', 'deployment', 'here', '--ignore-not-found');
        kubectl('delete', 'service', 'here', 'each', '--ignore-not-found');
        configure({ serviceClusterIPs: null, serviceExternalIPs: null });
        shell(
          `ip -n kc-router link del v-tor-a; ip -n kc-router link del v-tor-b; ip netns del ${NAMESPACE}`,
        );
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
}
