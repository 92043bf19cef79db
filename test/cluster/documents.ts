/** Objects that users apply, and objects in which the cluster reports its state. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { root, until } from '../helpers/lab.ts';
import { apply, calictl, kubectl, NODES } from './kubernetes.ts';
import { stopWatchingRights, watchRights } from './rights.ts';
import { cluster } from './set-up.ts';

const file = path.join(import.meta.dirname, 'documents', 'calico-examples.yaml');

interface Object3 {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: object;
}

const stored = (kind: string, name: string) =>
  JSON.parse(kubectl('get', `${kind.toLowerCase()}s.projectcalico.org`, name, '-o', 'json')) as Object3;

/** Runs calictl on this machine as the cluster's administrator, with a document on standard input. */
function administer(args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(root, 'dist', 'calictl.js'), '--kubeconfig', cluster('kubeconfig').trim(), ...args],
    { input, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`${stdout}${stderr}`);
  return stdout;
}

const isMeshed = () => NODES.every((node) => calictl(node, 'node', 'status').status === 0);

export function documents(): void {
  it('accepts Calico’s own examples unchanged, from kubectl and from calictl', async () => {
    const text = readFileSync(file, 'utf8');
    const examples = parseAllDocuments(text).map((document) => document.toJS() as Object3);
    const before = stored('BGPConfiguration', 'default');
    const others = examples.filter(({ metadata }) => metadata.name !== 'default');
    const check = () => {
      for (const { kind, metadata, spec } of examples)
        expect(stored(kind, metadata.name).spec).toMatchObject(spec);
    };
    try {
      kubectl('apply', '-f', file);
      check();
      for (const { kind, metadata } of others)
        kubectl('delete', `${kind}s.projectcalico.org`.toLowerCase(), metadata.name);
      expect(administer(['apply', '-f', '-'], text)).toContain('Successfully applied 4 resource(s)');
      check();
      expect(administer(['get', 'bgpfilter'])).toContain('my-filter');
      for (const { kind, metadata } of others)
        expect(administer(['delete', kind, metadata.name])).toContain('Successfully deleted');
    } finally {
      const now = stored('BGPConfiguration', 'default');
      administer(['replace', '-f', '-'], JSON.stringify({ ...now, spec: before.spec }));
    }
    await until('all sessions of the mesh are up', 120_000, isMeshed);
  });

  it('keeps a CalicoNodeStatus current, and reports problems as Events of the Node', async () => {
    apply({
      apiVersion: 'projectcalico.org/v3',
      kind: 'CalicoNodeStatus',
      metadata: { name: 'of-node1' },
      spec: { node: 'node1', classes: ['Agent', 'BGP', 'Routes'], updatePeriodSeconds: 1 },
    });
    const read = () =>
      kubectl('get', 'caliconodestatuses.projectcalico.org', 'of-node1', '-o', 'jsonpath={.status}');
    await until('the status has the BGP sessions', 30_000, () => read().includes('numberEstablishedV4'));
    expect(JSON.parse(read())).toMatchObject({
      agent: { birdV4: { state: 'Ready' } },
      bgp: {
        numberEstablishedV4: 2,
        numberNotEstablishedV4: 0,
        peersV4: [
          { peerIP: '172.30.1.13', type: 'NodeMesh', state: 'Established' },
          { peerIP: '172.30.2.12', type: 'NodeMesh', state: 'Established' },
        ],
      },
    });
    const routes = (JSON.parse(read()) as { routes: { routesV4: { interface: string }[] } }).routes.routesV4;
    expect(routes.map((route) => route.interface)).toEqual(expect.arrayContaining(['blackhole', 'eth0']));
    // A peer at an address that no host has.
    apply({
      apiVersion: 'projectcalico.org/v3',
      kind: 'BGPPeer',
      metadata: { name: 'nobody' },
      spec: { node: 'node1', peerIP: '172.30.1.99', asNumber: 64999 },
    });
    const events = () =>
      kubectl('get', 'events', '-o', 'jsonpath={range .items[*]}{.reason} {.message}{"\\n"}{end}');
    await until('an Event reports the session that is down', 60_000, () =>
      /BGPSessionDown The BGP session with 172\.30\.1\.99 \(node specific\) is down/.test(events()),
    );
    expect(kubectl('describe', 'node', 'node1')).toContain('BGPSessionDown');
    await until('the status counts the session that is down', 30_000, () =>
      read().includes('"numberNotEstablishedV4":1'),
    );
    // A BGPPeer that selects no peer: its own status reports that.
    const name = 'lonely';
    const spec = { peerSelector: "role == 'reflector'" };
    apply({ apiVersion: 'projectcalico.org/v3', kind: 'BGPPeer', metadata: { name }, spec });
    const resolved = () => kubectl('get', 'bgppeers.projectcalico.org', '-o', 'wide', '--no-headers');
    await until('both BGPPeers have their status', 30_000, () =>
      /^lonely .* NoPeer .*\nnobody .* Resolved /m.test(resolved()),
    );
    kubectl('delete', 'bgppeers.projectcalico.org', 'nobody', name);
    await until('an Event reports the end of the problem', 30_000, () =>
      events().includes('Resolved: The BGP session with 172.30.1.99'),
    );
    // Deleted, because writing this status every second would disturb the next test.
    kubectl('delete', 'caliconodestatuses.projectcalico.org', 'of-node1');
  });

  it('uses at most 80 MB and less than 1 % of a core at rest', async () => {
    const seen = NODES.map((node) => ({ node, ...agentProcess(node) }));
    // After the many pods of earlier tests, an agent returns memory once it has been quiet for a minute.
    await until('every agent has at most 80 MB resident', 180_000, () =>
      seen.every(({ pid }) => residentMb(pid) <= 80),
    );
    // An agent at rest is not scraped every second, as for rights().
    stopWatchingRights();
    const before = seen.map(({ pid }) => ticks(pid));
    const seconds = 60;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    watchRights();
    seen.forEach(({ node, pid }, index) => {
      const share = (ticks(pid) - before[index]!) / seconds;
      process.stdout.write(
        `${node}: cali-node has ${residentMb(pid).toFixed(1)} MB resident and uses ${share.toFixed(2)} % of a core\n`,
      );
      expect(residentMb(pid)).toBeLessThanOrEqual(80);
      // The goal is half of this; one garbage collection may fall into this minute.
      expect(share).toBeLessThan(1);
    });
  });
}

function agentProcess(node: string): { pid: number } {
  const list = cluster('exec', node, 'ctr', '-n', 'k8s.io', 'task', 'ls').split('\n').slice(1);
  const pids = list.map((line) => Number(line.split(/\s+/)[1])).filter((pid) => pid > 0);
  const pid = pids.find((one) => readFileSync(`/proc/${one}/cmdline`, 'utf8').includes('cali-node.js'));
  return { pid: pid! };
}

/** Returns the CPU time of a process in hundredths of a second. */
function ticks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function residentMb(pid: number): number {
  return (Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024) / 1e6;
}
