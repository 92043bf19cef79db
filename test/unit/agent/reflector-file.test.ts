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
