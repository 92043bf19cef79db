/** The image of the manifests: one name, fully qualified, which no registry serves until an operator sets it. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const deploy = path.resolve(import.meta.dirname, '..', '..', 'deploy');
const read = (file: string) => readFileSync(path.join(deploy, file), 'utf8');
const { version } = JSON.parse(read('../package.json')) as { version: string };
const placeholder = `set-your-registry.invalid/cali/node:${version}`;
const files = readdirSync(deploy, { recursive: true, encoding: 'utf8' }).filter((file) =>
  /\.ya?ml$/.test(file),
);

test('every image in deploy/ is the placeholder, whose host cannot exist', () => {
  const images = files.flatMap((file) =>
    [...read(file).matchAll(/^\s*-? *image: *(\S.*)$/gm)].map(([, image]) => ({ file, image: image! })),
  );
  const isTemplate = ({ file }: { file: string }) => file.startsWith('chart/templates');
  expect(images.filter(isTemplate).every(({ image }) => image.includes('.Values.image.repository'))).toBe(
    true,
  );
  const written = images.filter((one) => !isTemplate(one));
  expect(written.length).toBeGreaterThanOrEqual(7);
  expect(written.filter(({ image }) => image !== placeholder)).toEqual([]);
  expect(read('chart/values.yaml')).toContain(`  repository: ${placeholder.split(':')[0]}\n`);
  expect(read('chart/Chart.yaml')).toMatch(new RegExp(`^appVersion: "?${version}"?$`, 'm'));
});

test('the command in deploy/README.md sets every image', () => {
  const [, from] = /sed "s\|([^|]+)\|\$IMAGE\|"/.exec(read('README.md'))!;
  expect(from).toBe(placeholder);
  const result = read('cali.yaml').replaceAll(from!, 'registry.example/cali/node:1');
  expect(result).not.toContain('.invalid');
  expect(result.match(/image: registry\.example\/cali\/node:1$/gm)).toHaveLength(3);
});
