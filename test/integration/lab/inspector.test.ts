/** The client of Node's inspector, against a real one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { closeInspector, debuggerPath, textFrame } from '../../../lab/inspector.ts';

const HOST = '127.0.0.1';
let child: ChildProcess;
let port = 0;
let output = '';

beforeEach(async () => {
  output = '';
  const script = 'setInterval(() => process.stdout.write("alive\\n"), 20)';
  child = spawn(process.execPath, [`--inspect=${HOST}:0`, '-e', script]);
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const listening = /ws:\/\/127\.0\.0\.1:(\d+)\/([0-9a-f-]+)/;
  await vi.waitUntil(() => listening.test(output), { timeout: 60_000 });
  port = Number(listening.exec(output)![1]);
});
afterEach(() => {
  child.kill('SIGKILL');
});

it('finds the WebSocket of a process that listens for a debugger', async () => {
  expect(output).toContain(`ws://${HOST}:${port}${await debuggerPath(HOST, port)}`);
});

it('closes the inspector, and the process continues', async () => {
  await closeInspector(HOST, port);
  await vi.waitUntil(
    () =>
      closeInspector(HOST, port)
        .then(() => false)
        .catch(() => true),
    { timeout: 60_000 },
  );
  output = '';
  await vi.waitUntil(() => output.includes('alive'), { timeout: 60_000 });
  expect(child.exitCode).toBeNull();
});

it('frames text with its length and a mask (RFC 6455 section 5.2)', () => {
  const frame = textFrame('é'.repeat(100));
  expect([...frame.subarray(0, 4)]).toEqual([0x81, 0xfe, 0, 200]);
  const mask = frame.subarray(4, 8);
  const payload = frame.subarray(8).map((byte, i) => byte ^ mask[i % 4]!);
  expect(Buffer.from(payload).toString()).toBe('é'.repeat(100));
});
