// Pure folders take values and return values: no sockets, processes, files or clocks, not even through other files.
// Type-only imports do not count, because they disappear at run time: scripts/import-rules.mjs applies these rules to
// the sources without types.
const { builtinModules } = require('node:module');
const base = require('./.dependency-cruiser.cjs');

/** ipip/devices.ts reads the kernel; the rest of ipip only decides. */
const pure =
  '^((ipam|model|felix/calc|bgp/(wire|session|rib|policy|group)|datastore/schema|kernel/netlink/(rtnetlink|nfnetlink))/|ipip/(?!devices\\.ts$))';
/** Built-ins that only compute; crypto is included for hashes. */
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
      // Newer Node versions have more built-ins. Those that exist only with the prefix count as impure.
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
      to: { path: '^lib/(exec|http|libc|log|memory|process-metrics|time)\\.ts$', reachable: true },
    },
  ],
  options: base.options,
};
