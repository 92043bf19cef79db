import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FileSource } from '../../../agent/reflector-file.ts';
import { silentLog } from '../../../lib/log.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-reflector-file-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const source = (text: string) => {
  const file = path.join(folder, 'reflector.yaml');
  writeFileSync(file, text);
  return new FileSource(file, { holdTimeSeconds: 90, restartTimeSeconds: 120 }, silentLog);
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
