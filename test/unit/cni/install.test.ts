import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type InstallOptions, installCni } from '../../../cni/install.ts';

let root: string;
let options: InstallOptions;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'cali-install-'));
  options = {
    shim: file('image/cali', 'shim 1'),
    loopback: file('image/loopback', 'loopback cali-loopback-plugin'),
    binDirectory: path.join(root, 'bin'),
    netDirectory: path.join(root, 'net.d'),
    configurationName: '10-cali.conflist',
    mtu: 0,
  };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function file(name: string, text: string, mode = 0o644): string {
  const full = path.join(root, name);
  mkdirSync(path.dirname(full), { recursive: true });
  writeFileSync(full, text, { mode });
  return full;
}
const read = (name: string) => readFileSync(path.join(root, name), 'utf8');
const mode = (name: string) => statSync(path.join(root, name)).mode & 0o777;
const configuration = () => JSON.parse(read('net.d/10-cali.conflist'));

describe('the installation of the plugin', () => {
  it('installs an executable shim, and the configuration last, because it makes the node ready', async () => {
    const lines = await installCni(options);
    expect([read('bin/cali'), mode('bin/cali'), mode('net.d/10-cali.conflist')]).toEqual([
      'shim 1',
      0o755,
      0o600,
    ]);
    expect(configuration()).toEqual({
      name: 'k8s-pod-network',
      cniVersion: '1.0.0',
      plugins: [{ type: 'cali' }],
    });
    expect(lines.at(0)).toBe(`${path.join(root, 'bin/cali')} written`);
    expect(lines.at(-1)).toBe(`${path.join(root, 'net.d/10-cali.conflist')} written`);
  });

  it('changes nothing when everything is up to date, and leaves no temporary files', async () => {
    await installCni(options);
    const before = statSync(path.join(root, 'bin/cali')).ino;
    const lines = await installCni(options);
    expect(lines.filter((line) => line.endsWith(' written'))).toEqual([]);
    expect(statSync(path.join(root, 'bin/cali')).ino).toBe(before);
    expect(readdirSync(path.join(root, 'bin')).toSorted()).toEqual(['cali', 'loopback']);
    expect(readdirSync(path.join(root, 'net.d'))).toEqual(['10-cali.conflist']);
  });

  it('makes a shim executable again that lost its mode', async () => {
    await installCni(options);
    chmodSync(path.join(root, 'bin/cali'), 0o644);
    await installCni(options);
    expect(mode('bin/cali')).toBe(0o755);
  });

  it('chains the plugins that the node has, and names those that it lacks', async () => {
    file('bin/portmap', '');
    const lines = await installCni({ ...options, mtu: 1_400 });
    expect(configuration().plugins).toEqual([
      { type: 'cali', mtu: 1_400 },
      { type: 'portmap', snat: true, capabilities: { portMappings: true } },
    ]);
    expect(lines).toContain(
      `bandwidth is not in ${options.binDirectory}: bandwidth annotations will not work`,
    );
    expect(lines.some((line) => line.startsWith('portmap'))).toBe(false);
  });

  it('replaces a link instead of the file that it names', async () => {
    const target = file('etc/shadow', 'secret');
    mkdirSync(options.binDirectory);
    symlinkSync(target, path.join(options.binDirectory, 'cali'));
    await installCni(options);
    expect([read('etc/shadow'), read('bin/cali')]).toEqual(['secret', 'shim 1']);
  });

  it('leaves no temporary file when it cannot replace a file', async () => {
    mkdirSync(path.join(root, 'bin/cali'), { recursive: true });
    await expect(installCni(options)).rejects.toThrow();
    expect(readdirSync(path.join(root, 'bin'))).toEqual(['cali']);
  });
});

describe('the loopback plugin', () => {
  it('is installed where it is missing, with a line about it', async () => {
    const lines = await installCni(options);
    expect(lines).toContain(
      'this node lacks the loopback plugin that runtimes run for each pod: Cali installs its own',
    );
    expect(mode('bin/loopback')).toBe(0o755);
  });

  it('of another program stays', async () => {
    file('bin/loopback', 'the plugin of the CNI project');
    const lines = await installCni(options);
    expect(read('bin/loopback')).toBe('the plugin of the CNI project');
    expect(lines.some((line) => line.includes('loopback'))).toBe(false);
  });

  it('of an earlier version is replaced', async () => {
    file('bin/loopback', 'old cali-loopback-plugin');
    await installCni(options);
    expect(read('bin/loopback')).toBe('loopback cali-loopback-plugin');
  });

  it('is requested from the operator when the image lacks it too', async () => {
    const lines = await installCni({ ...options, loopback: '/nowhere' });
    expect(lines).toContainEqual(expect.stringContaining("Install the CNI project's plugins"));
    file('bin/loopback', 'old cali-loopback-plugin');
    expect(await installCni({ ...options, loopback: '/nowhere' })).not.toContainEqual(
      expect.stringContaining('loopback'),
    );
  });
});
