/** Faults A11, A12 and A13: the agent leaves other programs' state on a node alone; only root can access its own. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root, until } from '../helpers/lab.ts';
import { Arena, PATIENCE_MS } from './arena.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'cali-ownership-'));
let arena: Arena;
beforeAll(async () => {
  arena = await Arena.start(2, '--pods', '1');
});
afterAll(async () => {
  await arena?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** State of FRR, BIRD, GoBGP, Calico, a hypervisor and an operator on a node, with names and numbers like ours. */
const foreign = [
  'ip route add 198.51.100.0/24 via 172.18.0.1 proto bgp',
  'ip route add 198.51.101.0/24 via 172.18.0.1 proto bird',
  'ip route add 198.51.102.0/24 via 172.18.0.1 proto 80',
  'ip route add blackhole 198.51.103.0/24 proto zebra',
  'ip -6 route add 2001:db8:1::/48 via fd00:172:18::1 proto bgp',
  'ip link add california0 type bridge',
  'ip link add cali0 type bridge',
  'ip link add cali-vm type bridge',
  'ip link add calico1234567 type bridge',
  'ip link set california0 up',
  'ip address add 198.51.104.1/24 dev california0',
  'ip route add 198.51.105.0/24 dev california0 proto 80',
  'ip neigh replace 198.51.104.9 lladdr 02:00:00:00:00:09 dev california0 nud permanent',
  'nft add table inet calico',
  'nft add table ip cali',
];
const left = (node: string) =>
  arena.lab.sh(
    node,
    `ip route | grep 198.51; ip -6 route | grep 2001:db8; ip -br link | grep -oE "^(california0|cali0|cali-vm|calico1234567)"
     ip neigh show nud permanent | grep 198.51; nft list tables | grep -vx "table inet cali"; true`,
  );

describe('routes, interfaces, neighbours and tables of other programs', () => {
  it('other programs’ routes, interfaces and tables survive a crash and a restart of the agent', async () => {
    arena.lab.sh('node1', foreign.join(' && '));
    const before = left('node1');
    arena.lab.apply('FelixConfiguration', 'default', { routeRefreshInterval: '1s' });
    await arena.lab.ask({ do: 'node kill', name: 'node1' });
    await arena.lab.ask({ do: 'node start', name: 'node1' });
    await arena.worksAsBefore();
    await until(
      'the agent’s sessions have settled',
      PATIENCE_MS,
      async () => (await arena.status('node1')).bgp.isSettled,
    );
    await arena.lab.ask({ do: 'pod add', node: 'node1', name: 'more' });
    await arena.worksAsBefore();
    await arena.lab.ask({ do: 'pod delete', name: 'more' });
    expect(left('node1')).toBe(before);
  });
});

describe('an agent’s files and sockets', () => {
  const run = (node: string) => `/proc/${arena.pid}/root/run/cali-lab/${node}`;

  it('only root can access an agent’s sockets', () => {
    for (const node of arena.nodes)
      for (const name of ['cni.sock', 'cali.sock']) {
        const { mode } = statSync(path.join(run(node), name));
        expect((mode & 0o077).toString(8), `${node}/${name}`).toBe('0');
      }
  });

  it('an agent that ends leaves its successor’s sockets in place', async () => {
    const program = `const n=require('net');for(const s of ['cni.sock','cali.sock']){require('fs').rmSync('/run/cali-lab/node1/'+s,{force:true});n.createServer().listen('/run/cali-lab/node1/'+s)}setTimeout(()=>console.log('listening'),300)`;
    const successor = arena.lab.follow('node1', process.execPath, '-e', program);
    await until('the successor listens', PATIENCE_MS, () => successor.lines.length > 0);
    await arena.lab.ask({ do: 'node stop', name: 'node1' });
    for (const name of ['cni.sock', 'cali.sock'])
      expect(existsSync(path.join(run('node1'), name)), name).toBe(true);
    await successor.stop();
    await arena.lab.ask({ do: 'node start', name: 'node1' });
    await arena.worksAsBefore();
  });
});

describe('calictl node diags', () => {
  it('calictl node diags packs no token of any program, and only its owner can read the bundle', () => {
    // Other programs' configuration, in a mount namespace for this command only.
    const script = `set -e
      cp -r /etc ${directory}/etc 2>/dev/null || true
      mkdir -p ${directory}/etc/cni/net.d
      cd ${directory}/etc/cni/net.d
      echo 'token: SECRET-OF-KUBECONFIG' > calico-kubeconfig
      echo 'token: SECRET-IN-YAML' > zz.yaml
      echo '{"name":"n","plugins":[{"type":"x","token":"SECRET-IN-CONFLIST","kubernetes":{"k8s_auth_token":"SECRET-DEEP"},"note":"SECRET-NOTE","bridge":"kept0"}]}' > 05-x.conflist
      ln -s ${directory}/etc/cni/net.d/calico-kubeconfig 06-link.conf
      mount --bind ${directory}/etc /etc
      umask 022
      calictl node diags --log-dir ${directory}/out`;
    const { stdout, stderr } = arena.lab.exec('node1', 'unshare', '--mount', 'sh', '-c', script);
    const archive = /saved to (\S+)/.exec(stdout)?.[1];
    expect(archive, stderr).toBeDefined();
    expect((statSync(archive!).mode & 0o077).toString(8)).toBe('0');
    expect(arena.lab.sh('lab', `tar -xzOf ${archive}`)).not.toMatch(/SECRET/);
    expect(arena.lab.sh('lab', `tar -xzOf ${archive}`)).toContain('kept0');
  });
});

describe('cali-node --cleanup', () => {
  it('cali-node --cleanup removes everything of Cali’s from a node, and nothing else', async () => {
    await arena.lab.ask({ do: 'node stop', name: 'node1' });
    const before = left('node1');
    expect(before).toContain('california0');
    const program = path.join(root, 'dist', 'cali-node.js');
    const { code, stderr } = arena.lab.exec('node1', process.execPath, program, '--cleanup');
    expect(code, stderr).toBe(0);
    expect(left('node1')).toBe(before);
    expect(arena.lab.sh('node1', 'ip -br link')).not.toMatch(/cali[0-9a-f]{11}/);
    expect(arena.lab.sh('node1', 'ip route; ip -6 route')).not.toMatch(/10\.244\.|fd00:10:244/);
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(directory);
  });
});
