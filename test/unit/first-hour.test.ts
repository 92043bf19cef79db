/** Settings for editors, Node version managers and containers agree with the repository. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '..', '..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const json = (file: string): unknown => JSON.parse(read(file));

test('.nvmrc and the dev container name a Node version that package.json allows', () => {
  const { engines } = json('package.json') as { engines: { node: string } };
  const newest = Number(/>=(\d+)/.exec(engines.node)![1]);
  expect(Number(read('.nvmrc'))).toBeGreaterThanOrEqual(newest);
  const { image } = json('.devcontainer/devcontainer.json') as { image: string };
  expect(image).toContain(`node:${read('.nvmrc').trim()}-`);
});

test('the dev container installs every program that the lab requires', () => {
  const { onCreateCommand } = json('.devcontainer/devcontainer.json') as { onCreateCommand: string };
  const [, table] = /^export const required = \{\n(.+?)^\};/ms.exec(read('scripts/setup.mjs'))!;
  const packages = [...table!.matchAll(/: \['([\w-]+)', /g)].map(([, name]) => name!);
  expect(packages).toContain('iproute2');
  for (const name of packages) expect(onCreateCommand).toContain(` ${name} `);
});

test('.editorconfig and the ruler of the editor have the line width that biome enforces', () => {
  const { formatter } = json('biome.json') as { formatter: { lineWidth: number } };
  expect(read('.editorconfig')).toContain(`max_line_length = ${formatter.lineWidth}\n`);
  expect(json('.vscode/settings.json')).toMatchObject({ 'editor.rulers': [formatter.lineWidth] });
});

test('the launch configurations start a program that exists', () => {
  const { configurations } = json('.vscode/launch.json') as { configurations: { program?: string }[] };
  const programs = configurations.flatMap(
    ({ program }) => program?.replace(/^\$\{workspaceFolder\}/, root) ?? [],
  );
  expect(programs).not.toEqual([]);
  expect(programs.filter((file) => !existsSync(file))).toEqual([]);
});

test('VS Code attaches to the port that npm run lab -- debug opens by default', () => {
  const { configurations } = json('.vscode/launch.json') as { configurations: { port?: number }[] };
  const ports = configurations.flatMap(({ port }) => port ?? []);
  const [, port] = /'--port <port>'.*, (\d+)\)/.exec(read('lab/main.ts'))!;
  expect(ports).toEqual([Number(port)]);
});
