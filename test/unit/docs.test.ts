/** The documentation agrees with the tree: links and paths exist, decisions are complete, folders are in order. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..', '..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const decisions = readdirSync(path.join(root, 'docs/decisions')).filter((file) => file !== 'README.md');
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'RFCS.md'],
  ...readdirSync(path.join(root, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
  ...['README.md', ...decisions].map((file) => `docs/decisions/${file}`),
];

describe('the documentation', () => {
  it.each(pages)('%s links only to files that exist', (page) => {
    const links = [...read(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, link]) => link!);
    const files = links.filter((link) => !/^[a-z]+:/.test(link));
    const missing = files.filter((link) => !existsSync(path.resolve(root, path.dirname(page), link)));
    expect(missing).toEqual([]);
  });

  it.each(pages)('%s names only npm scripts that exist', (page) => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...read(page).matchAll(/npm run (?:--silent )?([a-z][a-z:-]*)/g)].map(([, name]) => name!);
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });

  const withPaths = pages.filter((page) => /CONTRIBUTING|architecture|decisions/.test(page));
  it.each(withPaths)('%s names only sources that exist', (page) => {
    const named = read(page).match(/\b[a-z-]+\/[\w./-]*\.(ts|mjs|c|yaml)\b/g) ?? [];
    // KIND and AREA stand for any name.
    const files = named.filter(
      (file) => !/[A-Z]{4}/.test(file) && existsSync(path.join(root, file.split('/')[0]!)),
    );
    expect(files.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
  });
});

describe('the decisions', () => {
  it.each(decisions)(
    '%s has a date, context, decision, reason and consequences, and is in the index',
    (file) => {
      const text = read(`docs/decisions/${file}`);
      const [, title, date] =
        /^# (.+)\n\nDate: (\d{4}-\d{2}-\d{2})\n\n\*\*Context\.\*\* .+\n\n\*\*Decision\.\*\* .+\n\n\*\*Reason\.\*\* .+\n\n\*\*Consequences\.\*\* .+\n$/s.exec(
          text,
        ) ?? [];
      expect(title).toBeDefined();
      expect(read('docs/decisions/README.md')).toContain(`- ${date}: [${title}](${file})\n`);
    },
  );
});

describe('docs/architecture.md', () => {
  const page = read('docs/architecture.md');
  const load = createRequire(import.meta.url);
  const { forbidden } = load(path.join(root, '.dependency-cruiser.cjs')) as {
    forbidden: { name: string; to: { path?: string } }[];
  };
  const rule = (name: string) => new RegExp(forbidden.find((one) => one.name === name)!.to.path!);

  it('lists the folders so that each imports only those below it', () => {
    const table = page.slice(page.indexOf('## Folders'), page.indexOf("## A packet's path"));
    const rows = [...table.matchAll(/^\| ((?:[a-z]+\/(?:, )?)+) /gm)].map(([, names]) =>
      names!.split(', ').map((name) => name.replace('/', '')),
    );
    const ruled = forbidden.flatMap(({ name }) => /^([a-z]+)-imports$/.exec(name)?.[1] ?? []);
    expect(rows.flat().sort()).toEqual(ruled.sort());
    const upward = rows.flatMap((names, index) =>
      names.flatMap((lower) =>
        rows
          .slice(0, index)
          .flat()
          .filter((upper) => !rule(`${lower}-imports`).test(`${upper}/x.ts`))
          .map((upper) => `${lower} may import ${upper}`),
      ),
    );
    expect(upward).toEqual([]);
  });

  it.each(['agent', 'bgp'])('lists the layers of %s, lowest first', (folder) => {
    const [, listed] = new RegExp(`^- ${folder}: (.+); then the root\\.$`, 'm').exec(page)!;
    const ruled = forbidden.flatMap(
      ({ name }) => new RegExp(`^${folder}-(.+)-reaches$`).exec(name)?.[1] ?? [],
    );
    expect(listed!.split(', ')).toEqual(ruled);
  });
});
