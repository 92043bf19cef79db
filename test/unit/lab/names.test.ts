/** Names and pairs of the lab. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { assertFreeName, MAX_NAME } from '../../../lab/names.ts';
import { portName } from '../../../lab/namespaces.ts';
import { probesBetween } from '../../../lab/pairs.ts';
import { readTopology } from '../../../lab/topology.ts';

const used = { nodes: ['node1'], pods: ['web'] };

describe('the lab', () => {
  it.each([
    ['Node_X', 'RFC 1123'],
    ['', 'RFC 1123'],
    ['-a', 'RFC 1123'],
    ['a-', 'RFC 1123'],
    ['a..b', 'RFC 1123'],
    ['../x', 'RFC 1123'],
    ['a'.repeat(MAX_NAME + 1), 'use at most 63'],
    ['lab', 'the lab uses this name itself'],
    ['api', 'the lab uses this name itself'],
  ])('refuses the name "%s" for a node and for a pod', (name, reason) => {
    for (const kind of ['node', 'pod'] as const)
      expect(() => assertFreeName(kind, name, used)).toThrow(
        expect.objectContaining({ code: 'NAME', message: expect.stringContaining(reason) }),
      );
  });

  it('refuses a name that a node or a pod already has', () => {
    expect(() => assertFreeName('node', 'node1', used)).toThrow('node node1 exists already');
    expect(() => assertFreeName('pod', 'web', used)).toThrow('pod web exists already');
    expect(() => assertFreeName('node', 'web', used)).toThrow(
      'node web: a pod has this name: choose another',
    );
    expect(() => assertFreeName('pod', 'node1', used)).toThrow('pod node1: a node has this name');
  });

  it.each(['node2', 'ip-10-0-0-1.ec2.internal', 'pod-web', '7', 'a'.repeat(MAX_NAME)])(
    'accepts the name "%s"',
    (name) => {
      expect(() => assertFreeName('node', name, used)).not.toThrow();
      expect(() => assertFreeName('pod', name, used)).not.toThrow();
    },
  );

  it.each([
    ['nodes: [{name: Node_X}]', 'nodes[0].name: "Node_X": invalid name'],
    ['nodes: [{pods: [b]}]', 'nodes[0].name: is required'],
    ['nodes: [{name: a}, {name: a}]', 'node a exists already'],
    ['nodes: [{name: a, pods: [b]}, {name: c, pods: [b]}]', 'pod b exists already'],
    ['nodes: [{name: a, pods: [c]}, {name: c}]', 'pod c: a node has this name'],
  ])('refuses the topology file "%s"', async (text, reason) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'cali-topology-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = path.join(folder, 'lab.yaml');
    await writeFile(file, text);
    await expect(readTopology(file)).rejects.toThrow(reason);
  });

  it('gives two long names with the same beginning two interfaces', () => {
    const names = ['a-long-node-name-1', 'a-long-node-name-2'].map((name, index) =>
      portName(name, index + 1),
    );
    expect(new Set(names).size).toBe(2);
    expect(Math.max(...names.map((name) => name.length))).toBeLessThanOrEqual(15);
    expect(portName('node1', 1)).toBe('p-node1');
  });

  it('probes only the families that both sides have', () => {
    const both = { name: 'both', addresses: ['10.0.0.1', 'fd00::1'] };
    const v4 = { name: 'v4', addresses: ['10.0.0.2'] };
    const v6 = { name: 'v6', addresses: ['fd00::3'] };
    const probed = (from: typeof both, to: typeof both) =>
      probesBetween(from, to).map(({ address }) => address);
    expect(probed(both, both)).toEqual([]);
    expect(probed(both, v4)).toEqual(['10.0.0.2']);
    expect(probed(v4, both)).toEqual(['10.0.0.1']);
    expect(probed(both, v6)).toEqual(['fd00::3']);
    expect(probed(v6, both)).toEqual(['fd00::1']);
    expect(probed(v4, v6)).toEqual([]);
  });
});
