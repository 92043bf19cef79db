/** Each bench works: it exits with 0 and prints its table. `--small` takes seconds, and its figures mean nothing. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasProgram, root } from '../helpers/lab.ts';

const small = (name: string) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(root, 'dist', `bench-${name}.js`), '--small'],
    { cwd: root, encoding: 'utf8' },
  );
  return { status, stdout, stderr };
};
const HEAD = /cores, Node v\d+\S*, (commit [0-9a-f]{7,}|no commit)/;

describe('benches', () => {
  it('bench:dataplane measures routes', () => {
    const { status, stdout, stderr } = small('dataplane');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(HEAD);
    expect(stdout).toMatch(
      /200 routes, direct\n\n +wall +CPU +memory +felix : this\nfelix +\d+ ms +\d+ ms +\d+ MB +1.00\nip -batch +\d+ ms/,
    );
    expect(stdout).toMatch(/200 routes, over VXLAN/);
    expect(stdout).toMatch(/one route changed +p50 [\d.]+ ms, p99 [\d.]+ ms, CPU [\d.]+ ms/);
    expect(stdout).toMatch(/nftables +libnftables p50[^\n]+\n *replace the table for 10 nodes +[\d.]+ ms/);
    expect(stdout).toMatch(/foreign changes a second +[\d.]+ % of a core, our routes are unchanged/);
  });

  it.skipIf(!hasProgram('gcc'))('bench:bgp measures a reflector (skipped without gcc)', () => {
    const { status, stdout } = small('bgp');
    expect(status).toBe(0);
    expect(stdout).toMatch(HEAD);
    expect(stdout).toMatch(/### Reflector with 5 clients, 10 prefixes each\n\n\| \| Cali \|/);
    expect(stdout).toMatch(/^\| withdraw \| [\d.]+ \/ [\d.]+ s, \d+ MB \|$/m);
    expect(stdout).toMatch(/### 200 prefixes to 2/);
  });

  it.skipIf(!hasProgram('gcc'))('bench:cni measures ADD and DEL (skipped without gcc)', () => {
    const { status, stdout } = small('cni');
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /ADD p50 .*4 ADDs at once +VERSION p50\n *cali \(shim, agent, API server\) +[\d.]+ ms/,
    );
    expect(stdout).not.toContain('NaN');
    expect(stdout).toMatch(HEAD);
  });

  it.skipIf(!hasProgram('iperf3'))('bench:tunnels measures VXLAN (skipped without iperf3)', () => {
    const { status, stdout } = small('tunnels');
    expect(status).toBe(0);
    expect(stdout).toMatch(HEAD);
    expect(stdout).toMatch(/^ *Cali, VXLAN +[\d.]+ Gbit\/s/m);
    expect(stdout).toMatch(/^ *as flannel sets it up +[\d.]+ Gbit\/s/m);
  });
});
