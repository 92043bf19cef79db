import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, TestLab, until } from '../helpers/lab.ts';

const pool = (name: string, cidr: string, more = '') =>
  `apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: { name: ${name} }\nspec: { cidr: ${cidr}${more} }\n`;

/** Minor version of this machine's kubectl; 0 without kubectl. */
function kubectlMinor(): number {
  if (!hasProgram('kubectl')) return 0;
  const { stdout } = spawnSync('kubectl', ['version', '--client', '-o', 'json'], { encoding: 'utf8' });
  const { clientVersion } = JSON.parse(stdout) as { clientVersion: { minor: string } };
  return Number.parseInt(clientVersion.minor, 10);
}

let lab: TestLab;
beforeAll(async () => {
  lab = await TestLab.start(['--nodes', '2', '--pods', '1']);
});
afterAll(() => lab?.stop());

describe.skipIf(!hasProgram('kubectl'))(
  'kubectl against the embedded API server (skipped without kubectl)',
  () => {
    const kubectl = (...args: string[]) => lab.exec('lab', 'kubectl', ...args);
    const apply = (yaml: string) => lab.pipe('lab', yaml, 'kubectl', 'apply', '-f', '-');

    it('lists resources and shows printer columns', async () => {
      expect(kubectl('api-resources').stdout).toMatch(
        /ippools +ipp,pool +projectcalico\.org\/v3 +false +IPPool/,
      );
      const show = () => kubectl('get', 'ippools', '-o', 'wide').stdout.split('\n');
      await until('ALLOCATABLE shows PoolReady', 60_000, () => show()[1]!.includes('PoolReady'));
      const wide = show();
      expect(wide[0]).toMatch(/^NAME +CIDR +VXLAN +IPIP +NAT +ALLOCATABLE +DISABLED +SELECTOR +AGE$/);
      expect(wide[1]).toMatch(
        /^default-ipv4-ippool +10\.244\.0\.0\/16 +Never +Never +true +PoolReady +false +all\(\)/,
      );
      expect(kubectl('get', 'nodes').stdout).toMatch(/node1 +True +172\.18\.0\.11/);
    });

    it('applies, changes, edits and deletes objects', () => {
      expect(apply(pool('extra', '10.100.0.0/16')).stdout).toBe('ippool.projectcalico.org/extra created\n');
      expect(apply(pool('extra', '10.100.0.0/16', ', natOutgoing: true')).stdout).toBe(
        'ippool.projectcalico.org/extra configured\n',
      );
      expect(apply(pool('extra', '10.100.0.0/16', ', natOutgoing: true')).stdout).toBe(
        'ippool.projectcalico.org/extra unchanged\n',
      );
      expect(kubectl('get', 'ippool', 'extra', '-o', 'jsonpath={.spec.natOutgoing}').stdout).toBe('true');
      const edited = lab.sh(
        'lab',
        `KUBE_EDITOR="sed -i 's/natOutgoing: true/natOutgoing: false/'" kubectl edit ippool extra`,
      );
      expect(edited).toBe('ippool.projectcalico.org/extra edited\n');
      expect(
        kubectl(
          'patch',
          'ippool',
          'extra',
          '--type=json',
          '-p',
          '[{"op":"replace","path":"/spec/disabled","value":true}]',
        ).code,
      ).toBe(0);
      expect(kubectl('get', 'ippool', 'extra', '-o', 'jsonpath={.spec.disabled}').stdout).toBe('true');
      expect(kubectl('label', 'node', 'node1', 'zone=a').stdout).toBe('node/node1 labeled\n');
      expect(kubectl('get', 'nodes', '-l', 'zone=a', '-o', 'name').stdout).toBe('node/node1\n');
      expect(
        kubectl('get', 'pods', '-A', '--field-selector', 'spec.nodeName=node2', '-o', 'name').stdout,
      ).toBe('pod/node2-a\n');
      expect(kubectl('delete', 'ippool', 'extra').stdout).toBe('ippool.projectcalico.org "extra" deleted\n');
      expect(kubectl('get', 'ippool', 'extra').stderr).toContain(
        'ippools.projectcalico.org "extra" not found',
      );
    });

    it.skipIf(kubectlMinor() < 27)('explains every field (kubectl 1.27 and later reads OpenAPI v3)', () => {
      const spec = kubectl('explain', 'bgppeer.spec').stdout;
      expect(spec).toMatch(/DESCRIPTION:\s+Which nodes have which peer, and how they treat it\./);
      expect(spec).toMatch(/maxPrefixes\s+<Object>\s+Limit of prefixes that the peer may announce/);
      expect(kubectl('explain', 'bgppeer.spec.asNumber').stdout).toMatch(
        /AS number of the peer: 1 to 4294967295/,
      );
      expect(kubectl('explain', 'ippool.spec.vxlanMode').stdout).toMatch(
        /CrossSubnet \(only between\s+subnets\)/,
      );
    });

    it('watches objects', async () => {
      const watch = lab.follow('lab', 'kubectl', 'get', 'ippools', '-w', '-o', 'name');
      await new Promise((resolve) => setTimeout(resolve, 1000));
      apply(pool('watched', '10.101.0.0/16'));
      kubectl('delete', 'ippool', 'watched');
      await new Promise((resolve) => setTimeout(resolve, 500));
      const lines = await watch.stop();
      expect(lines.filter((line) => line.endsWith('/watched')).length).toBeGreaterThanOrEqual(2);
    });

    it('gets an error with the object, the field and the remedy for a bad object, and nothing changes', () => {
      const before = kubectl('get', 'ippools,bgppeers', '-o', 'name').stdout;
      const peer = (spec: string) =>
        `apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: { name: bad }\nspec: ${spec}\n`;
      const refusals: [string, RegExp][] = [
        [
          pool('bad', '10.0.0.0/33'),
          /IPPool "bad" is invalid: spec\.cidr: "10\.0\.0\.0\/33" is not a network.*prefix length of 0 to 32/,
        ],
        [
          pool('bad', '10.244.128.0/17'),
          /spec\.cidr: .*overlaps IPPool default-ipv4-ippool \(10\.244\.0\.0\/16\): choose a range outside it/,
        ],
        [
          pool('bad', '10.99.0.0/28', ', blockSize: 26'),
          /spec\.blockSize: .*a \/26 block is larger than the pool 10\.99\.0\.0\/28: use a blockSize of 28 to 32/,
        ],
        [pool('bad', '10.99.0.1/24'), /spec\.cidr: .*write 10\.99\.0\.0\/24/],
        [pool('bad', '10.99.0.0/24', ', ipipMode: Sometimes'), /spec\.ipipMode/],
        [
          peer('{ peerIP: 192.0.2.1, asNumber: 0 }'),
          /BGPPeer "bad" is invalid: spec\.asNumber: .*must be an AS number: 1 to 4294967295/,
        ],
        [peer('{ peerIP: nowhere, asNumber: 1 }'), /spec\.peerIP: .*must be an address/],
      ];
      for (const [yaml, sentence] of refusals) {
        const { code, stderr } = apply(yaml);
        expect(code).not.toBe(0);
        expect(stderr).toMatch(sentence);
      }
      expect(kubectl('get', 'ippools,bgppeers', '-o', 'name').stdout).toBe(before);
      // A newer kubectl makes the server refuse unknown fields; an older one prints the server's warning.
      expect(apply(pool('pruned', '10.99.0.0/24', ', frob: 1')).stderr).toMatch(/unknown field "spec\.frob"/);
      kubectl('delete', 'ippool', 'pruned', '--ignore-not-found');
      const felix = (spec: string) =>
        apply(
          `apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: node.nowhere}\nspec: ${spec}`,
        );
      expect(felix('{ wireguardEnable: true }').stderr).toMatch(
        /unknown field "spec\.wireguardEnable": did you mean "wireguardEnabled"\?/,
      );
      expect(felix('{ wireguardEnabled: true }').stderr).toMatch(
        /Warning: spec\.wireguardEnabled has no effect: Cali does not encrypt/,
      );
      const status = lab.exec('node1', 'calictl', 'node', 'status').stdout;
      expect(status).toContain(
        'Fields without effect:\n  FelixConfiguration node.nowhere: spec.wireguardEnabled has no effect: Cali does not encrypt',
      );
      kubectl('delete', 'felixconfiguration', 'node.nowhere');
    });
  },
);

describe('calictl', () => {
  const calictl = (...args: string[]) => lab.exec('node1', 'calictl', ...args);

  it('shows node status as calicoctl does, with an exit code that reflects the health', async () => {
    const up = calictl('node', 'status');
    expect(up.code).toBe(0);
    expect(up.stdout).toMatch(/^Cali process is running\.\n\nIPv4 BGP status\n\+-+\+/);
    expect(up.stdout).toMatch(
      /\| PEER ADDRESS +\| +PEER TYPE +\| STATE \| +SINCE +\| +INFO +\| RECEIVED \| SENT \|/,
    );
    expect(JSON.parse(calictl('node', 'status', '-o', 'json').stdout).bgp.peers).toHaveLength(2);
    expect(calictl('node', 'status', '-o', 'yaml').stdout).toContain('asNumber: 64512');
    await lab.ask({ do: 'node kill', name: 'node2' });
    const down = calictl('node', 'status');
    expect(down.code).toBe(1);
    expect(down.stdout).toMatch(
      /\| 172\.18\.0\.12 +\| node-to-node mesh \| start \| .*(Connection reset|closed the connection|Connection refused).*restarting, routes retained/,
    );
    const gone = lab.exec('node2', 'calictl', 'node', 'status');
    expect(gone.stderr).toMatch(
      /Cali process is not running: no answer on \/run\/cali-lab\/node2\/cali\.sock/,
    );
    await lab.ask({ do: 'node start', name: 'node2' });
  });

  it('gets, creates, applies, replaces and deletes with calicoctl’s messages', async () => {
    const verb = (name: string, yaml: string, ...more: string[]) =>
      lab.pipe('node1', yaml, 'calictl', name, '-f', '-', ...more);
    const nodes = calictl('get', 'nodes', '-o', 'wide').stdout;
    expect(nodes).toMatch(
      /^NAME +ASN +IPV4 +IPV6\nnode1 +\(64512\) +172\.18\.0\.11\/24 +fd00:172:18::11\/64/,
    );
    expect(calictl('get', 'ippools').stdout).toMatch(
      /^NAME +CIDR +SELECTOR\ndefault-ipv4-ippool +10\.244\.0\.0\/16 +all\(\)/,
    );
    const yaml = pool('ctl', '10.102.0.0/16');
    expect(verb('create', yaml).stdout).toBe("Successfully created 1 'IPPool' resource(s)\n");
    expect(verb('create', yaml).stderr).toMatch(/Failed to create 'IPPool' resource ctl: .*already exists/);
    expect(verb('create', yaml, '--skip-exists').code).toBe(0);
    expect(verb('apply', pool('ctl', '10.102.0.0/16', ', disabled: true')).stdout).toBe(
      "Successfully applied 1 'IPPool' resource(s)\n",
    );
    expect(calictl('get', 'pool', 'ctl', '-o', 'yaml').stdout).toMatch(/disabled: true/);
    expect(calictl('delete', 'ippool', 'ctl').stdout).toBe("Successfully deleted 1 'IPPool' resource(s)\n");
    // cali-controllers remove their finalizer from an unused pool.
    await until('the pool is gone', 60_000, () => calictl('get', 'ippool', 'ctl').code === 1);
    expect(calictl('delete', 'ippool', 'ctl').stderr).toContain('resource does not exist: IPPool(ctl)');
    expect(verb('replace', yaml).stderr).toContain('resource does not exist');
  });

  it('explains why it refuses bad input', () => {
    const bad = lab.pipe('node1', pool('bad', '10.0.0.0/33'), 'calictl', 'apply', '-f', '-');
    expect(bad.stderr).toMatch(/IPPool.*"bad" is invalid: spec\.cidr: .*10\.0\.0\.0\/33/);
    expect(lab.exec('node1', 'calictl', '--kubeconfig', '/nowhere', 'get', 'nodes').stderr).toMatch(
      /kubeconfig \/nowhere: cannot be read: .*Set KUBECONFIG \(or --kubeconfig\) to a readable file/,
    );
    expect(calictl('get', 'frobs').stderr).toContain("resource type 'frobs' is not supported");
  });

  it('changes a node’s AS number when it patches the v3 Node', async () => {
    const patched = calictl('patch', 'node', 'node1', '-p', '{"spec":{"bgp":{"asNumber":65099}}}');
    expect([patched.code, patched.stdout, patched.stderr]).toEqual([
      0,
      "Successfully patched 1 'Node' resource\n",
      '',
    ]);
    await until('node1 uses AS 65099', 60_000, () => lab.status('node1').bgp.asNumber === 65099);
    expect(calictl('get', 'node', 'node1', '-o', 'wide').stdout).toMatch(
      /\nnode1 +65099 +172\.18\.0\.11\/24/,
    );
    expect(calictl('patch', 'node', 'node1', '-p', '{"spec":{"bgp":{"asNumber":null}}}').code).toBe(0);
    await until('node1 is back in AS 64512, with sessions', 60_000, () => {
      const { bgp, notReady } = lab.status('node1');
      return bgp.asNumber === 64512 && notReady.length === 0;
    });
    const yaml = calictl('get', 'node', 'node1', '-o', 'yaml').stdout;
    expect(yaml).toMatch(/^apiVersion: projectcalico\.org\/v3\nkind: Node\n/);
    const applied = lab.pipe('node1', yaml, 'calictl', 'apply', '-f', '-');
    expect([applied.code, applied.stderr]).toEqual([0, '']);
  });

  it('shows the lab’s pods as WorkloadEndpoints with their interfaces', () => {
    const rows = calictl('get', 'workloadendpoints', '-o', 'custom-columns=WORKLOAD,NODE,NETWORKS,INTERFACE');
    const [, pod, network, link] = /^(node1-\S+) +node1 +(10\.244\.\S+?\/32)\S* +(cali[0-9a-f]{11})$/m.exec(
      rows.stdout,
    )!;
    expect(lab.sh('node1', `ip route show ${network!.split('/')[0]}`)).toContain(`dev ${link} `);
    expect(calictl('get', 'wep', `node1-k8s-${pod!.replace('-', '--')}-eth0`, '-o', 'name').stdout).toMatch(
      /^workloadendpoint\.projectcalico\.org\/node1-k8s-node1--\S+-eth0\n$/,
    );
  });

  it('shows the cluster’s version, and locks the datastore', () => {
    expect(calictl('version').stdout).toMatch(
      /^Client Version: +\S+\nCluster Version: +\S+\nCluster Type: +\S+\n$/,
    );
    expect(calictl('datastore', 'migrate', 'lock').stdout).toBe('Datastore locked.\n');
    expect(calictl('get', 'clusterinformation').stdout).toMatch(/ false\n$/);
    expect(calictl('datastore', 'migrate', 'unlock').stdout).toBe('Datastore unlocked.\n');
  });

  it('reads standard input once, and exits with code 1 for a wrong flag', () => {
    const yaml = pool('stdin', '10.103.0.0/16');
    expect(lab.pipe('node1', yaml, 'calictl', 'validate', '-f', '-').stdout).toBe(
      "Successfully validated 1 'IPPool' resource(s)\n",
    );
    const twice = lab.pipe('node1', yaml, 'calictl', 'validate', '-f', '-', '-f', '-');
    expect([twice.code, twice.stderr]).toEqual([
      1,
      'standard input can be read only once: use -f - only once\n',
    ]);
    expect(calictl('get', 'ippools', '--frob').code).toBe(1);
    expect(calictl('get', '--help').code).toBe(0);
    const cut = lab.exec('node1', 'sh', '-c', '(calictl --help; calictl --help) | head -1');
    expect([cut.stdout, cut.stderr]).toEqual(['Usage: calictl [options] [command]\n', '']);
  });
});
