import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { FileSource } from '../../../../agent/reflector/file-source.ts';
import { type Log, silentLog } from '../../../../lib/log.ts';
import { systemTime } from '../../../../lib/time.ts';
import { until } from '../../../helpers/lab.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-reflector-file-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const source = (text: string) => {
  const file = path.join(folder, 'reflector.yaml');
  writeFileSync(file, text);
  return new FileSource(
    file,
    { holdTimeSeconds: 90, restartTimeSeconds: 120 },
    { clock: systemTime, log: silentLog },
  );
};

it('a reflector’s file is read as typed values: dotted AS numbers, canonical addresses', async () => {
  const reflector = source(
    [
      'apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: { name: default }',
      'spec: { asNumber: "1.10", routerID: 192.0.2.1 }\n---',
      'apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: { name: tor }',
      'spec: { peerIP: "2001:DB8::0:1", asNumber: "1.11" }',
    ].join('\n'),
  );
  await reflector.start(() => undefined);
  try {
    expect(reflector.configurations()[0]?.spec.asNumber).toBe(65546);
    expect(reflector.desired().peers).toMatchObject([
      { address: '2001:db8::1', asNumber: 65547, localAs: 65546 },
    ]);
  } finally {
    reflector.close();
  }
});

it('a reflector’s file with errors is refused, and every error is named', async () => {
  const wrong = (name: string) =>
    `apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: { name: ${name} }\nspec: { peerIP: nowhere }\n---\n`;
  await expect(source(wrong('a') + wrong('b')).start(() => undefined)).rejects.toThrow(
    /reflector\.yaml, document 1: BGPPeer\S* "a" is invalid: .*\n.*document 2: BGPPeer\S* "b" is invalid/,
  );
});

it('a reflector’s file may have merge keys and booleans of YAML 1.1, and a template in it is refused', async () => {
  const peer = 'apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: { name: tor }\n';
  const reflector = source(
    `${peer}spec: { <<: { peerIP: 192.0.2.9, asNumber: 64512 }, routeReflectorClient: yes }\n---\n` +
      'apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: { name: default }\nspec: { routerID: 192.0.2.1 }\n',
  );
  await reflector.start(() => undefined);
  reflector.close();
  expect(reflector.desired().peers).toMatchObject([{ address: '192.0.2.9', isClient: true }]);
  await expect(
    source(`${peer}spec: { peerIP: {{ .Values.peer }} }\n`).start(() => undefined),
  ).rejects.toThrow(/reflector\.yaml: line 4 has \{\{ \}\} of a template: render it first/);
});

describe('a reflector with a folder of files', () => {
  const peer = (name: string, peerIP: string) =>
    `apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: { name: ${name} }\nspec: { peerIP: "${peerIP}", asNumber: 64512 }\n`;
  const write = (name: string, text: string) => writeFileSync(path.join(folder, name), text);
  const lines: { level: string; reason: string }[] = [];
  const at = (level: string) => (fields: object) =>
    void lines.push({ level, reason: 'reason' in fields ? String(fields.reason) : '' });
  const log: Log = { ...silentLog, info: at('info'), warn: at('warn'), error: at('error') };
  const reflector = () => {
    lines.length = 0;
    const one = new FileSource(
      folder,
      { holdTimeSeconds: 90, restartTimeSeconds: 120 },
      { clock: systemTime, log },
    );
    onTestFinished(() => one.close());
    return one;
  };
  const router = `apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: { name: default }\nspec: { routerID: 192.0.2.1 }\n`;

  it('reads the YAML and JSON files in it by name', async () => {
    write('b.yaml', peer('b', '192.0.2.2'));
    write('a.yml', router);
    write(
      'c.json',
      '{"apiVersion": "projectcalico.org/v3", "kind": "BGPFilter", "metadata": {"name": "f"}, "spec": {}}',
    );
    write('.b.yaml.swp', 'of an editor');
    write('README.md', 'of a human');
    const one = reflector();
    await one.start(() => undefined);
    expect(one.desired().peers).toMatchObject([{ name: 'b', address: '192.0.2.2' }]);
    expect(lines).toEqual([]);
  });

  it('keeps the first object of a name, and reports both files in one sentence', async () => {
    write('a.yaml', `${router}---\n${peer('tor', '192.0.2.2')}`);
    write('b.yaml', peer('tor', '192.0.2.3'));
    const one = reflector();
    await one.start(() => undefined);
    expect(one.desired().peers).toMatchObject([{ name: 'tor', address: '192.0.2.2' }]);
    expect(lines).toEqual([
      {
        level: 'warn',
        reason: `BGPPeer tor is in ${folder}/a.yaml, document 2 and in ${folder}/b.yaml: the first is used; rename or remove the other`,
      },
    ]);
  });

  it('refuses a BGPPeer without AS number, because it knows no Nodes', async () => {
    write('a.yaml', `${router}---\n${peer('tor', '192.0.2.2').replace(', asNumber: 64512', '')}`);
    await expect(reflector().start(() => undefined)).rejects.toThrow(
      'a.yaml, document 2: BGPPeer tor: spec.asNumber is required: the AS number of 192.0.2.2',
    );
  });

  it.each([
    ['peerIP', '192.0.2.2', '192.0.2.2:179'],
    ['peerCIDR', '192.0.2.0/24', '192.0.2.7/24'],
  ])('refuses two BGPPeers with one %s, and names both files and objects', async (field, one, same) => {
    const of = (name: string, value: string) => peer(name, value).replace('peerIP', field);
    write('a.yaml', `${router}---\n${of('tor', one)}`);
    write('b.yaml', of('spine', same));
    await expect(reflector().start(() => undefined)).rejects.toThrow(
      `BGPPeer tor in ${folder}/a.yaml, document 2 and BGPPeer spine in ${folder}/b.yaml have the same ${field} `,
    );
    write('b.yaml', of('spine', field === 'peerIP' ? '192.0.2.2:1790' : '192.0.2.0/25'));
    await reflector().start(() => undefined);
  });

  it('logs a fault once until it changes, and that the configuration is valid again', async () => {
    write('a.yaml', `${router}---\n${peer('tor', '192.0.2.2')}`);
    const one = reflector();
    let changes = 0;
    await one.start(() => changes++);
    const levels = () => lines.map(({ level }) => level);
    write('b.yaml', peer('bad', 'nowhere'));
    await until('the fault is logged', 10_000, () => lines.length === 1);
    for (let look = 0; look < 3; look++) {
      write('other.txt', String(look));
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(lines).toEqual([{ level: 'error', reason: expect.stringContaining('b.yaml: BGPPeer') }]);
    write('b.yaml', peer('bad', 'elsewhere'));
    await until('the other fault is logged', 10_000, () => lines.length === 2);
    rmSync(path.join(folder, 'b.yaml'));
    await until('it is valid again', 10_000, () => lines.length === 3);
    expect([levels(), changes]).toEqual([['error', 'error', 'info'], 0]);
    write('b.yaml', peer('spine', '192.0.2.9'));
    await until('the change is applied', 10_000, () => changes === 1);
    expect(one.desired().peers).toHaveLength(2);
  });
});
