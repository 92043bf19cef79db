// Checks the import rules: directions on the sources, purity on the sources without types.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { sourceFiles } from './sources.mjs';

const root = path.resolve(import.meta.dirname, '..');
const files = sourceFiles().filter((file) => file.endsWith('.ts'));
mkdirSync(path.join(root, 'dist'), { recursive: true });
const erased = mkdtempSync(path.join(root, 'dist', '.erased-'));
try {
  // esbuild removes type-only imports, which dependency-cruiser's own parser counts as imports.
  await build({
    absWorkingDir: root,
    entryPoints: files,
    outdir: erased,
    outbase: root,
    outExtension: { '.js': '.ts' },
    format: 'esm',
    logLevel: 'warning',
  });
  for (const name of ['node_modules', 'tsconfig.json', 'package.json'])
    symlinkSync(path.join(root, name), path.join(erased, name));
  cruise('.dependency-cruiser.cjs', root);
  cruise('.dependency-cruiser-purity.cjs', erased);
} finally {
  rmSync(erased, { recursive: true, force: true });
}

function cruise(config, cwd) {
  const depcruise = path.join(root, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [depcruise, '--config', path.join(root, config), ...files],
    { cwd, encoding: 'utf8' },
  );
  // dependency-cruiser reports no violation in files that it cannot read, so check the count.
  const cruised = Number(/([\d,]+) modules/.exec(stdout)?.[1]?.replace(',', '') ?? 0);
  if (status === 0 && cruised >= files.length) return;
  process.stdout.write(`${config}:\n${stdout}${stderr}`);
  if (status === 0) process.stdout.write(`only ${cruised} of ${files.length} files were read\n`);
  process.exitCode = 1;
}
