import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { collectDiagnostics } from '../../../calictl/diags.ts';
import { CUT, redact, redactConfiguration } from '../../../calictl/redact.ts';

const SECRET = 'S3CRET-0f2b';
let folder = '';
let umask = 0;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-diags-test-'));
  umask = process.umask(0);
});
afterEach(() => {
  process.umask(umask);
  rmSync(folder, { recursive: true, force: true });
});

/** Packs a CNI folder with other plugins' files and returns all text in the archive. */
async function packed(files: Readonly<Record<string, string>>, links: Readonly<Record<string, string>> = {}) {
  const cniDirectory = path.join(folder, 'net.d');
  mkdirSync(cniDirectory);
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(cniDirectory, name), text);
  for (const [name, target] of Object.entries(links)) symlinkSync(target, path.join(cniDirectory, name));
  const sources = { cniDirectory, runDirectory: path.join(folder, 'run'), questions: {} };
  const { archive } = await collectDiagnostics(path.join(folder, 'out'), sources, new Date(0));
  const { stdout } = spawnSync('tar', ['-xzOf', archive], { encoding: 'utf8', maxBuffer: 64 << 20 });
  return { archive, text: stdout };
}

describe('calictl node diags', () => {
  it('packs only conf and conflist files, without their credentials', async () => {
    const { text } = await packed({
      '10-cali.conflist': JSON.stringify({ name: 'k8s-pod-network', plugins: [{ type: 'cali', mtu: 1450 }] }),
      '05-other.conf': JSON.stringify({ type: 'calico', policy: { k8s_auth_token: SECRET } }),
      '07-broken.conf': `{ "token": "${SECRET}"`,
      'calico-kubeconfig': `token: ${SECRET}`,
      'kubeconfig.yaml': `token: ${SECRET}`,
      '10-cali.conflist.bak': SECRET,
      'client.key': SECRET,
      '99-loopback.json': SECRET,
    });
    expect(text).toContain('"mtu": 1450');
    expect(text).toContain('"type": "calico"');
    expect(text).toContain('This is not JSON');
    expect(text).not.toContain(SECRET);
  });

  it('names symbolic links and does not follow them', async () => {
    const elsewhere = path.join(folder, 'elsewhere');
    writeFileSync(elsewhere, JSON.stringify({ name: SECRET }));
    const { text } = await packed({}, { '10-link.conf': elsewhere, '11-loop.conflist': '11-loop.conflist' });
    expect(text).toContain('# 10-link.conf\nThis is a symbolic link: not followed.');
    expect(text).not.toContain(SECRET);
  });

  it('does not block on a named pipe', async () => {
    const cniDirectory = path.join(folder, 'pipes');
    mkdirSync(cniDirectory);
    spawnSync('mkfifo', [path.join(cniDirectory, 'a.conf')]);
    const sources = { cniDirectory, runDirectory: folder, questions: {} };
    const { archive } = await collectDiagnostics(folder, sources, new Date(0));
    const { stdout } = spawnSync('tar', ['-xzOf', archive], { encoding: 'utf8', maxBuffer: 64 << 20 });
    expect(stdout).toContain('This is not a regular file');
  });

  it('creates the archive and its folder readable only by the owner, whatever the umask', async () => {
    const { archive } = await packed({});
    expect(statSync(archive).mode & 0o777).toBe(0o600);
    expect(statSync(path.dirname(archive)).mode & 0o777).toBe(0o700);
  });

  it('does not write through a symbolic link at the name of the archive', async () => {
    const out = path.join(folder, 'out');
    mkdirSync(out);
    chmodSync(out, 0o777);
    const victim = path.join(folder, 'victim');
    writeFileSync(victim, 'as it was');
    symlinkSync(victim, path.join(out, 'diags-19700101_000000.tar.gz'));
    await expect(packed({})).rejects.toThrow(/cannot be written: EEXIST/);
    expect(readFileSync(victim, 'utf8')).toBe('as it was');
  });
});

describe('redaction of a CNI configuration', () => {
  it.each([
    'token',
    'k8s_auth_token',
    'etcd_key_file',
    'kubeconfig',
    'args',
    'env',
    'header',
    'endpoint',
    'anything-else',
    'constructor',
    '__proto__',
  ])('removes the value of %s, whatever it is and at any depth', (key) => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('plugins', 'ipam', 'ranges', 0), { maxLength: 5 }),
        fc.constantFrom<unknown>(
          SECRET,
          [SECRET],
          { inner: { deep: SECRET } },
          { name: 's3cret-0f2b' },
          1234,
          true,
        ),
        (way, value) => {
          const wrap = (inner: unknown, step: string | number) =>
            typeof step === 'number' ? [inner] : { [step]: inner };
          const object = way.reduce<unknown>(wrap, { type: 'x', [key]: value });
          const expected = way.reduce<unknown>(wrap, { type: 'x', [key]: CUT });
          expect(redact(object)).toEqual(expected);
        },
      ),
      { numRuns: 50 },
    );
  });

  it.each([
    { args: ['--etcd-pw', SECRET] },
    { env: { pwd: SECRET, PAT: SECRET } },
    { env: [{ name: 'API_TOKEN', value: SECRET }] },
    { header: `Basic ${SECRET}` },
    { endpoint: `https://h/?sig=${SECRET}` },
    { plugins: [SECRET, [SECRET]], ipam: SECRET },
    { ipam: { subnet: SECRET, mtu: SECRET, ranges: [[{ gateway: `10.0.0.1 ${SECRET}` }]] } },
    { capabilities: { portMappings: SECRET, [SECRET.toLowerCase()]: SECRET } },
    { name: `https://h/${SECRET}`, type: SECRET, cniVersion: SECRET, log_level: SECRET },
    [SECRET],
    SECRET,
  ])('removes a secret wherever it is: %j', (value) => {
    expect(JSON.stringify(redact(value))).not.toContain(SECRET);
  });

  it('removes everything nested deeper than in any real configuration', () => {
    const deep = `${'{"ipam":'.repeat(5_000)}{"name":"deep"}${'}'.repeat(5_000)}`;
    expect(redactConfiguration(deep)).not.toContain('deep');
  });

  it('removes nothing from a common configuration', () => {
    const plain = {
      name: 'k8s-pod-network',
      cniVersion: '1.0.0',
      plugins: [
        { type: 'cali', mtu: 1450, ipam: { type: 'calico-ipam', assign_ipv4: 'true' } },
        {
          type: 'bridge',
          bridge: 'cni0',
          isGateway: true,
          ipMasq: true,
          ipam: {
            type: 'host-local',
            ranges: [[{ subnet: '10.0.0.0/16', gateway: '10.0.0.1' }], [{ subnet: 'fd00::/64' }]],
            routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
          },
        },
        { type: 'portmap', snat: true, capabilities: { portMappings: true } },
        { type: 'bandwidth', capabilities: { bandwidth: true } },
      ],
    };
    expect(JSON.parse(redactConfiguration(JSON.stringify(plain)))).toEqual(plain);
  });
});
