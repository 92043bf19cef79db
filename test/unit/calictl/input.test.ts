import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeFields } from '../../../calictl/calico-node.ts';
import { readInput } from '../../../calictl/input.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-input-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const full = path.join(folder, name);
  mkdirSync(path.dirname(full), { recursive: true });
  writeFileSync(full, text);
  return full;
}
const pool = (name: string, cidr = '10.0.0.0/24') =>
  JSON.stringify({ apiVersion: 'projectcalico.org/v3', kind: 'IPPool', metadata: { name }, spec: { cidr } });
const names = async (options: Parameters<typeof readInput>[0]) =>
  (await readInput(options)).map(({ object }) => object.metadata.name);

describe('the files of -f', () => {
  it('are read in the given order, and those of a folder by name', async () => {
    file('d/b.yml', pool('b'));
    file('d/a.JSON', pool('a'));
    const first = file('z.txt', pool('z'));
    expect(await names({ filename: [first, path.join(folder, 'd')] })).toEqual(['z', 'a', 'b']);
  });

  it('of a folder are only manifests, and those of subfolders only with -R', async () => {
    file('d/a.yaml', pool('a'));
    file('d/notes.txt', 'not a manifest: [');
    file('d/sub/c.yaml', pool('c'));
    const filename = [path.join(folder, 'd')];
    expect(await names({ filename })).toEqual(['a']);
    expect(await names({ filename, recursive: true })).toEqual(['a', 'c']);
  });

  it('may be links', async () => {
    const target = file('elsewhere/a.yaml', pool('a'));
    mkdirSync(path.join(folder, 'd'));
    symlinkSync(target, path.join(folder, 'd', 'link.yaml'));
    expect(await names({ filename: [path.join(folder, 'd')] })).toEqual(['a']);
  });

  it('are all checked before any fault is reported', async () => {
    const bad = file('bad.json', pool('x', 'nowhere'));
    const good = file('good.json', pool('y'));
    const filename = ['/nowhere/a', bad, good, path.join(folder, 'none')];
    const error = await readInput({ filename }).catch((one: unknown) => String(one));
    expect(String(error).split('\n')).toEqual([
      expect.stringContaining('/nowhere/a: cannot be read'),
      expect.stringMatching(/bad\.json: .*spec\.cidr/),
      expect.stringContaining(`${path.join(folder, 'none')}: cannot be read`),
    ]);
  });

  it('must contain resources, unless --skip-empty is set', async () => {
    const filename = [file('empty.yaml', '# nothing\n---\n')];
    await expect(readInput({ filename })).rejects.toThrow(
      'contains no resources: add some, or use --skip-empty',
    );
    expect(await readInput({ filename, skipEmpty: true })).toEqual([]);
  });

  it('must include a manifest when they are a folder', async () => {
    mkdirSync(path.join(folder, 'd'));
    const filename = [path.join(folder, 'd')];
    await expect(readInput({ filename })).rejects.toThrow(/ends in \.yaml, \.yml or \.json; use -R/);
    await expect(readInput({ filename, recursive: true })).rejects.toThrow(/or \.json$/);
  });
});

describe('a core Node', () => {
  const node = (spec: object) =>
    file('node.json', JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, spec }));

  it.each([
    ...new Set(nodeFields.map(({ path: field }) => field.split('.')[1] ?? '')),
    ...['wireguard', 'orchRefs'],
  ])('with spec.%s is refused, because the API server would drop the field', async (field) => {
    await expect(readInput({ filename: [node({ [field]: {} })] })).rejects.toThrow(
      `Node n: spec.${field} is a field of Calico's Node: set apiVersion: projectcalico.org/v3`,
    );
  });

  it('with its own fields is accepted', async () => {
    expect(await names({ filename: [node({ podCIDR: '10.0.0.0/24', unschedulable: true })] })).toEqual(['n']);
  });
});
