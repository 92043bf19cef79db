/**
 * The capabilities of deploy/manifests/daemonset.yaml. With exactly these, and a read-only /proc/sys as in a container,
 * everything works. Without any one of them, the operation that needs it fails with an error that names it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { execCommand } from '../../lab/outside.ts';
import { hasProgram, root, TestLab, until } from '../helpers/lab.ts';

interface DaemonSet {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly securityContext: { readonly capabilities: { readonly add: readonly string[] } };
        }[];
      };
    };
  };
}
const manifest = readFileSync(path.join(root, 'deploy', 'manifests', 'daemonset.yaml'), 'utf8');
const daemonSet = parseAllDocuments(manifest)[0]!.toJS() as DaemonSet;
const granted = daemonSet.spec.template.spec.containers[0]!.securityContext.capabilities.add;

describe.skipIf(!hasProgram('setpriv'))('the agent’s capabilities', () => {
  let lab: TestLab;
  let agent: ChildProcess | undefined;
  let output = '';

  beforeAll(async () => {
    lab = await TestLab.start(['--nodes', '2', '--pods', '1', '--encap', 'vxlan']);
    await lab.ask({ do: 'node stop', name: 'node1' });
  });
  afterEach(() => stop());
  afterAll(() => lab?.stop());

  /** Starts node1's agent with these capabilities in a mount namespace like a container's. */
  function start(capabilities: readonly string[]): void {
    const bounding = ['-all', ...capabilities.map((name) => `+${name.toLowerCase()}`)].join(',');
    const script = [
      'mkdir -p "$CALI_RUN_DIR/proc/net"',
      'mount --bind /proc/sys/net "$CALI_RUN_DIR/proc/net"',
      'mount --bind /proc/sys /proc/sys',
      'mount -o remount,bind,ro /proc/sys',
      `CALI_PROC_SYS="$CALI_RUN_DIR/proc" exec setpriv --pdeathsig KILL --inh-caps=-all --bounding-set=${bounding} -- "$@"`,
    ].join(' && ');
    const program = [process.execPath, path.join(root, 'dist', 'cali-node.js')];
    const [file, ...args] = execCommand('node1', [
      ...[
        'unshare',
        '--mount',
        '--propagation',
        'slave',
        'env',
        'IP=autodetect',
        'IP6=autodetect',
        'sh',
        '-c',
        script,
        'sh',
      ],
      ...program,
    ]);
    output = '';
    agent = spawn(file!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [agent.stdout!, agent.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-100_000);
      });
  }

  async function stop(): Promise<void> {
    if (!agent) return;
    const ended = new Promise((resolve) => agent!.once('close', resolve));
    agent.kill('SIGKILL');
    await ended;
    agent = undefined;
  }

  /** Waits until the output of `calictl node status` on node1 matches. */
  const says = (what: RegExp) =>
    until(
      `calictl node status on node1 shows ${what}; the agent’s output ends in: ${output.slice(-2000)}`,
      60_000,
      () => {
        const { stdout, stderr } = lab.exec('node1', 'calictl', 'node', 'status');
        return what.test(`${stdout}${stderr}`);
      },
    );

  it('the manifest grants exactly these three', () => {
    expect(granted).toEqual(['NET_ADMIN', 'NET_BIND_SERVICE', 'SYS_ADMIN']);
  });

  it('with all of them the node becomes ready, peers, and gets pods that reach the other node', async () => {
    start(granted);
    await until('node1 is ready and has a session', 60_000, () => {
      const { code, stdout } = lab.exec('node1', 'calictl', 'node', 'status', '-o', 'json');
      return code === 0 && /"state":\s*"Established"/.test(stdout);
    });
    await lab.ask({ do: 'pod add', node: 'node1', name: 'with-all' });
    await until(
      'every pod reaches every pod',
      60_000,
      async () => (await lab.unreachable()).length === 0,
    ).catch(async () => expect(await lab.unreachable()).toEqual([]));
    await lab.ask({ do: 'pod delete', name: 'with-all' });
    const pod = lab.exec('node1', 'calictl', 'node', 'status', '-o', 'json').stdout;
    expect(JSON.parse(pod)).toMatchObject({ dataplane: { problems: [] } });
  });

  const without = (name: string) => granted.filter((one) => one !== name);

  it('without NET_ADMIN no pod is added, and the status shows that the agent cannot change interfaces', async () => {
    start(without('NET_ADMIN'));
    await says(/cannot change interfaces, routes and nftables: add the capability NET_ADMIN/);
    await expect(lab.ask({ do: 'pod add', node: 'node1', name: 'no-admin' })).rejects.toThrow(/NET_ADMIN/);
  });

  it('without NET_BIND_SERVICE there is no BGP, and the status shows which port needs it', async () => {
    start(without('NET_BIND_SERVICE'));
    await says(/TCP port 179 needs CAP_NET_BIND_SERVICE/);
  });

  it('without SYS_ADMIN no pod is added, and the status shows that the agent cannot enter namespaces', async () => {
    start(without('SYS_ADMIN'));
    await says(/cannot enter the network namespaces of pods: add the capability SYS_ADMIN/);
    await expect(lab.ask({ do: 'pod add', node: 'node1', name: 'no-sys' })).rejects.toThrow(/SYS_ADMIN/);
  });
});
