import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Conntrack } from '../../../kernel/conntrack.ts';
import { silentLog } from '../../../lib/log.ts';
import { until } from '../../helpers/scripted-peer.ts';

const row = (source: string) =>
  `tcp      6 431999 ESTABLISHED src=${source} dst=10.96.0.1 sport=1 dport=443 src=172.18.0.1 dst=${source} [ASSURED]`;

describe('a conntrack table full of one pod’s connections', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'cali-conntrack-'));
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });

  it('is read line by line, and removed entries are not read again', async () => {
    // Replaces Debian's conntrack, because no test may fill the machine's table.
    const calls = path.join(folder, 'calls');
    writeFileSync(calls, '');
    const script = path.join(folder, 'conntrack');
    writeFileSync(script, `#!/bin/sh\necho "$*" >> ${calls}\nyes '${row('10.1.0.5')}' | head -n 20000\n`);
    chmodSync(script, 0o755);
    vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`);
    const warnings: object[] = [];
    const conntrack = new Conntrack({ ...silentLog, warn: (fields) => warnings.push(fields) }, () => 1);
    conntrack.flush(['10.1.0.5', '10.1.0.6']);
    await until(() => readFileSync(calls, 'utf8').trim().split('\n').length === 5);
    expect(readFileSync(calls, 'utf8').trim().split('\n')).toEqual([
      '-L -f ipv4',
      ...['--orig-src', '--orig-dst', '--reply-src', '--reply-dst'].map(
        (direction) => `-D -f ipv4 ${direction} 10.1.0.5`,
      ),
    ]);
    expect(warnings).toEqual([]);
  });

  it('is left alone, with one warning, when conntrack is not installed', async () => {
    vi.stubEnv('PATH', folder);
    const warnings: string[] = [];
    const conntrack = new Conntrack(
      { ...silentLog, warn: (_fields, message) => warnings.push(message) },
      () => 1,
    );
    conntrack.flush(['10.1.0.5']);
    await until(() => warnings.length > 0);
    expect(warnings).toEqual([expect.stringMatching(/^conntrack is not installed/)]);
  });
});
