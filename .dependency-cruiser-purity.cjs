// What decides takes values and returns values: no sockets, processes, files or clocks, not through other files
// either. Type-only imports do not count, because nothing of them runs: scripts/import-rules.mjs runs these rules on
// the sources without their types.
const { builtinModules } = require('node:module');
const base = require('./.dependency-cruiser.cjs');

const pure = '^(ipam|ipip|felix/calc|bgp/(wire|session|rib|policy|group)|datastore/schema)/';
/** Built-ins that compute and nothing else; crypto is here for hashes. */
const harmless = [
  'assert',
  'buffer',
  'crypto',
  'events',
  'path',
  'punycode',
  'querystring',
  'string_decoder',
  'url',
  'util',
];
const impure = builtinModules
  .map((name) => name.replace(/^node:/, ''))
  .filter((name) => !name.startsWith('_') && !harmless.includes(name.split('/')[0]));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'pure-of-builtins',
      severity: 'error',
      from: { path: pure },
      // Newer Node has more of them: what only exists with the prefix counts as impure, whatever it is.
      to: { path: `^(node:)?(${impure.join('|')})$|^node:(?!(${harmless.join('|')})(/|$))`, reachable: true },
    },
    {
      name: 'pure-of-packages',
      severity: 'error',
      from: { path: pure },
      to: { path: 'node_modules/(?!zod/)', reachable: true },
    },
    {
      name: 'pure-of-side-effects',
      severity: 'error',
      comment: 'These use globals (timers, process) or load libraries at run time.',
      from: { path: pure },
      to: { path: '^lib/(clock|exec|http|libc|log|memory|process-metrics)\\.ts$', reachable: true },
    },
  ],
  options: base.options,
};
