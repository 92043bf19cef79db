import { describe, expect, it } from 'vitest';
import { parseFiles } from '../../../../agent/reflector/documents.ts';

const peer = (name: string, peerIP: string) =>
  JSON.stringify({
    apiVersion: 'projectcalico.org/v3',
    kind: 'BGPPeer',
    metadata: { name },
    spec: { peerIP, asNumber: 64_512 },
  });
const secret = (name: string, namespace?: string) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, ...(namespace ? { namespace } : {}) },
    stringData: { password: 'x' },
  });

describe('the files of a reflector', () => {
  it('are sorted by kind, with defaults', () => {
    const text = [peer('a', '10.0.0.1'), secret('s')].join('\n---\n');
    const { peers, secrets, configurations, filters } = parseFiles([{ file: 'a.yaml', text }], 'dir');
    expect(peers.map(({ metadata }) => metadata.name)).toEqual(['a']);
    expect(secrets.map(({ stringData }) => stringData)).toEqual([{ password: 'x' }]);
    expect([configurations, filters]).toEqual([[], []]);
  });

  it('use the first of several objects with the same name, and name the others with their places', () => {
    const { peers, duplicates } = parseFiles(
      [
        { file: 'a.yaml', text: peer('a', '10.0.0.1') },
        { file: 'b.yaml', text: [peer('b', '10.0.0.2'), peer('a', '10.0.0.3')].join('\n---\n') },
      ],
      'dir',
    );
    expect(peers.map(({ spec }) => spec.peerIP)).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(duplicates).toEqual([
      'BGPPeer a is in a.yaml and in b.yaml, document 2: the first is used; rename or remove the other',
    ]);
  });

  it('may have Secrets of the same name in different namespaces', () => {
    const text = [secret('s', 'a'), secret('s', 'b'), secret('s', 'a')].join('\n---\n');
    const { secrets, duplicates } = parseFiles([{ file: 'a.yaml', text }], 'dir');
    expect([secrets.length, duplicates.length]).toEqual([2, 1]);
  });

  it('are refused with the faults of all files', () => {
    const files = [
      { file: 'a.yaml', text: peer('a', 'nowhere') },
      { file: 'b.yaml', text: 'kind: Frob\napiVersion: v1\nmetadata: {name: x}' },
      { file: 'c.yaml', text: '{' },
    ];
    expect(() => parseFiles(files, 'dir')).toThrow(
      /^a\.yaml: .*spec\.peerIP.*\nb\.yaml: .*Frob.*\nc\.yaml: /s,
    );
  });

  it('are refused when they contain nothing', () => {
    expect(() => parseFiles([{ file: 'a.yaml', text: '# empty\n' }], 'dir')).toThrow(
      'dir: no resources in it',
    );
    expect(() => parseFiles([], 'dir')).toThrow('dir: no resources in it');
  });
});
