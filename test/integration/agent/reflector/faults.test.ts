import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { Reflector } from '../../../../agent/reflector/reflector.ts';
import { tcpTransport } from '../../../../bgp/transport/tcp.ts';
import { type Log, silentLog } from '../../../../lib/log.ts';
import { systemTime } from '../../../../lib/time.ts';

it('a reflector survives a configuration that cannot be calculated, at startup and later', async () => {
  const errors: object[] = [];
  const log: Log = { ...silentLog, error: (fields) => void errors.push(fields) };
  const runDirectory = mkdtempSync(path.join(os.tmpdir(), 'cali-boundary-'));
  let changed = () => {};
  const source = {
    start: async (listener: () => void) => {
      changed = listener;
    },
    identity: () => ({ identifier: '10.0.0.1', port: 0, listenAddresses: ['127.0.0.1'] }),
    configurations: () => [],
    desired: () => {
      throw new Error('broken');
    },
    close() {},
  };
  const reflector = new Reflector({ restartTimeSeconds: 1, unreachableSeconds: 1, runDirectory }, source, {
    time: systemTime,
    transport: tcpTransport,
    log,
  });
  await reflector.start();
  changed();
  expect(errors).toMatchObject([{ stage: 'BGP' }]);
  await reflector.stop();
  rmSync(runDirectory, { recursive: true });
});
