// Entry point of all npm scripts: node scripts/enter.cjs SCRIPT ARGUMENTS…
// Checks the Node version before Node reads a file that an old Node cannot parse. So this file uses syntax of Node 12.
'use strict';

// biome-ignore lint/style/useNodejsImportProtocol: Node 12 does not support the protocol.
const path = require('path');
const wanted = require('../package.json').engines.node;

/** Whether a version such as 20.19.1 is in a range such as `^20.19 || >=22.12`. */
function isIn(range, version) {
  const [major, minor] = version.split('.').map(Number);
  return range.split('||').some((part) => {
    const [, operator, least, leastMinor = '0'] = /^\s*(\^|>=)(\d+)(?:\.(\d+))?/.exec(part);
    if (major === Number(least)) return minor >= Number(leastMinor);
    return operator === '>=' && major > Number(least);
  });
}

if (!isIn(wanted, process.versions.node)) {
  const floors = wanted.replace(/\^|>=/g, '').replace(/ \|\| /g, ' or ');
  const event = process.env.npm_lifecycle_event || 'start';
  const command = event === 'start' || event === 'test' ? event : `run ${event}`;
  process.stderr.write(
    `Cali needs Node ${floors} or later, but this is Node ${process.versions.node} (${process.execPath}).\n` +
      `Install a newer one (https://nodejs.org/en/download), or try it once with: npx -p node@24 -- npm ${command}\n`,
  );
  process.exit(1);
}

const script = process.argv[2];
process.argv.splice(1, 2, path.join(__dirname, `${script}.mjs`));
void import(`./${script}.mjs`);
