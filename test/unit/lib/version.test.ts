import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { VERSION } from '../../../lib/version.ts';

it('the version is that of package.json', () => {
  const file = path.resolve(import.meta.dirname, '..', '..', '..', 'package.json');
  expect((JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version).toBe(VERSION);
});
