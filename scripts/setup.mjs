// Prepares a fresh clone: npm packages and bundles. Uses only Node's own modules, and changes nothing on the host.
import path from 'node:path';
import { nameMissing } from './commands.mjs';
import { installPackages } from './packages.mjs';
import { fail, fileProblem } from './say.mjs';

const root = path.resolve(import.meta.dirname, '..');

/** Commands that the lab and the agent need: Debian package, and what fails without it. */
export const required = {
  ip: ['iproute2', 'links and routes cannot be created'],
  unshare: ['util-linux', 'network namespaces cannot be created'],
  nsenter: ['util-linux', 'network namespaces cannot be entered'],
};
export const optional = {
  nft: ['nftables', 'natOutgoing has no effect, and nodes are not protected from pods'],
};

/** Installs packages and builds the programs unless both are current. Exits if files cannot be written. */
export async function prepare() {
  try {
    await installPackages();
    const { buildIfStale } = await import('./build.mjs');
    await buildIfStale();
  } catch (error) {
    const problem = fileProblem(error, root);
    if (problem === undefined) throw error;
    fail(problem);
  }
}

/** Prepares everything that the lab and the tests need; exits if something is missing. */
export async function setUp() {
  process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
  if (process.platform !== 'linux')
    fail(`Cali needs Linux, but this is ${process.platform}: run it in a virtual machine with Linux.`);
  if (!nameMissing(required, { isRequired: true })) process.exit(1);
  await prepare();
  nameMissing(optional, { isRequired: false });
}
