/** The loopback plugin for nodes without one: compiled, installed, and called as a container runtime does. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installCni } from '../../cni/install.ts';
import { hasProgram, root } from '../helpers/lab.ts';

describe.skipIf(!hasProgram('gcc'))('the loopback plugin (skipped without gcc)', () => {
  let folder = '';
  let program = '';
  beforeAll(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'cali-plugin-'));
    program = path.join(folder, 'loopback');
    const args = ['-Os', '-Wall', '-Wextra', '-Werror', '-o', program, 'cni/loopback.c'];
    expect(spawnSync('gcc', args, { cwd: root, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Calls the plugin from one network namespace for another, $NETNS, then shows the latter's `lo`. */
  function call(command: string, cniVersion: string, before = '') {
    const configuration = JSON.stringify({ cniVersion, name: 'cni-loopback', type: 'loopback' });
    const script = `
      unshare --net sleep 600 & pod=$!
      until [ "$(readlink /proc/$pod/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
      NETNS=/proc/$pod/ns/net
      ${before}
      printf '%s' '${configuration}' | CNI_COMMAND=${command} CNI_NETNS=$NETNS CNI_IFNAME=lo CNI_CONTAINERID=x '${program}'
      echo "status $?"
      nsenter --net=/proc/$pod/ns/net ip -brief addr show dev lo
      kill $pod`;
    return spawnSync('unshare', ['--user', '--map-root-user', '--net', 'sh', '-c', script], {
      encoding: 'utf8',
    });
  }

  it('sets lo up in the pod’s namespace, and answers in the requested version', () => {
    const { stdout, stderr } = call('ADD', '1.0.0');
    const [answer, status, link] = stdout.split('\n');
    expect({ status, stderr }).toEqual({ status: 'status 0', stderr: '' });
    expect(JSON.parse(answer!)).toEqual({
      cniVersion: '1.0.0',
      interfaces: [
        { name: 'lo', mac: '00:00:00:00:00:00', sandbox: expect.stringMatching(/^\/proc\/\d+\/ns\/net$/) },
      ],
      ips: [
        { interface: 0, address: '127.0.0.1/8' },
        { interface: 0, address: '::1/128' },
      ],
      dns: {},
    });
    expect(link).toMatch(/^lo +UNKNOWN +127\.0\.0\.1\/8 ::1\/128/);
    const old = JSON.parse(call('ADD', '0.3.1').stdout.split('\n')[0]!) as { ips: { version: string }[] };
    expect(old.ips.map(({ version }) => version)).toEqual(['4', '6']);
  });

  it('handles CHECK, DEL and VERSION', () => {
    expect(call('CHECK', '1.0.0').stdout).toMatch(/"code":5,"msg":"loopback: lo: Network is down"/);
    expect(call('CHECK', '1.0.0', 'nsenter --net=$NETNS ip link set lo up').stdout).toMatch(/^status 0/);
    expect(call('DEL', '1.0.0', 'NETNS=/nowhere').stdout).toMatch(/^status 0/);
    expect(call('ADD', '1.0.0', 'NETNS=/nowhere').stdout).toMatch(
      /"code":4,"msg":"loopback: CNI_NETNS: No such file/,
    );
    expect(call('ADD', '9.9').stdout).toMatch(/"code":1,"msg":"loopback: cniVersion 9\.9 is not supported/);
    expect(call('VERSION', '1.1.0').stdout).toContain(
      '"supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]',
    );
  });

  it('is installed if missing, replaces an older one of Cali’s, and never another plugin', async () => {
    const binDirectory = path.join(folder, 'bin');
    mkdirSync(binDirectory);
    const options = {
      shim: program,
      loopback: program,
      binDirectory,
      netDirectory: path.join(folder, 'net.d'),
      configurationName: '10-cali.conflist',
      mtu: 0,
    };
    const target = path.join(binDirectory, 'loopback');
    expect(await installCni(options)).toContain(
      'this node lacks the loopback plugin that runtimes run for each pod: Cali installs its own',
    );
    expect(readFileSync(target)).toEqual(readFileSync(program));
    expect(statSync(target).mode & 0o777).toBe(0o755);
    writeFileSync(target, 'an older cali-loopback-plugin');
    expect(await installCni(options)).toContain(`${target} written`);
    writeFileSync(target, 'the plugin of the CNI project');
    expect((await installCni(options)).filter((line) => line.includes('loopback'))).toEqual([]);
    expect(readFileSync(target, 'utf8')).toBe('the plugin of the CNI project');
    rmSync(target);
    expect(await installCni({ ...options, loopback: '/nowhere' })).toContain(
      `loopback is not in ${binDirectory}: containerd and CRI-O cannot start pods without it. Install the CNI project's plugins (Debian package containernetworking-plugins).`,
    );
  });
});
