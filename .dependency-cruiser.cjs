// Which folder may import which (docs/architecture.md, "Folders"). Type-only imports count too. The purity rules are in
// .dependency-cruiser-purity.cjs.
const mayImport = {
  lib: [],
  datastore: ['lib'],
  model: ['datastore', 'lib'],
  kernel: ['lib', 'model'],
  ipam: ['datastore', 'lib'],
  ipip: ['datastore', 'ipam', 'kernel', 'lib', 'model'],
  bgp: ['lib'],
  felix: ['bgp', 'datastore', 'ipip', 'kernel', 'lib', 'model'],
  cni: ['datastore', 'ipam', 'kernel', 'lib', 'model'],
  controllers: ['datastore', 'felix', 'ipam', 'lib', 'model'],
  agent: ['bgp', 'cni', 'datastore', 'felix', 'ipam', 'ipip', 'kernel', 'lib', 'model'],
  calictl: ['agent', 'bgp', 'cni', 'datastore', 'felix', 'ipam', 'ipip', 'lib', 'model'],
  lab: ['agent', 'bgp', 'cni', 'datastore', 'felix', 'ipam', 'ipip', 'kernel', 'lib', 'model'],
};
const folders = Object.keys(mayImport);

/**
 * Layers within a folder, lowest first. A subfolder may import those before it in the list, and no file at the root of
 * the folder. A folder below a layer belongs to it.
 */
const layers = {
  bgp: ['wire', 'session', 'policy', 'rib', 'group', 'transport', 'peer', 'bfd', 'monitor', 'graceful'],
  agent: ['inputs', 'identity', 'speaker', 'report', 'serve', 'reflector'],
};

/** Every folder that a folder may reach, through any number of imports. */
function reachable(folder, seen = new Set()) {
  for (const next of mayImport[folder]) {
    if (seen.has(next)) continue;
    seen.add(next);
    reachable(next, seen);
  }
  return [...seen];
}

/** `bgp-imports` and so on: each forbids all folders of Cali except the folder itself and those listed. */
const directions = folders.map((folder) => ({
  name: `${folder}-imports`,
  severity: 'error',
  from: { path: `^${folder}/` },
  to: {
    path: `^(?!(${[folder, ...mayImport[folder]].join('|')}|node_modules)/)[^/]+/`,
    dependencyTypesNot: ['core'],
  },
}));

/** `bgp-reaches` and so on: the same through any number of imports. */
const reaches = folders.map((folder) => ({
  name: `${folder}-reaches`,
  severity: 'error',
  from: { path: `^${folder}/` },
  to: {
    path: `^(?!(${[folder, ...reachable(folder)].join('|')})/)(${[...folders, 'test', 'scripts', 'deploy'].join('|')})/`,
    reachable: true,
  },
}));

/** `agent-inputs-reaches` and so on: a layer reaches no higher layer, and no file at the root of its folder. */
const layerRules = Object.entries(layers).flatMap(([folder, order]) => [
  ...order.map((layer, index) => ({
    name: `${folder}-${layer}-reaches`,
    severity: 'error',
    from: { path: `^${folder}/${layer}/` },
    to: {
      path: `^${folder}/(?!(${order.slice(0, index + 1).join('|')})/)`,
      reachable: true,
    },
  })),
  {
    name: `${folder}-layers`,
    severity: 'error',
    comment: 'A new subfolder gets a place in `layers` above.',
    from: { path: `^${folder}/(?!(${order.join('|')})/)[^/]+/` },
    to: {},
  },
]);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...directions,
    ...reaches,
    ...layerRules,
    {
      name: 'known-folders',
      severity: 'error',
      comment: 'A new folder gets a line in `mayImport` above.',
      from: { path: '/', pathNot: `^(${[...folders, 'test'].join('|')})/` },
      to: {},
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    { name: 'wire-alone', severity: 'error', from: { path: '^bgp/wire/' }, to: { path: '^bgp/(?!wire/)' } },
    {
      name: 'controllers-calc-only',
      severity: 'error',
      from: { path: '^controllers/' },
      to: { path: '^felix/(?!calc/)' },
    },
    {
      name: 'execa-in-one-file',
      severity: 'error',
      from: { pathNot: '^lib/exec\\.ts$' },
      to: { path: 'node_modules/execa/' },
    },
    {
      name: 'kernel-alone-runs-programs',
      severity: 'error',
      comment: 'kernel/ is the only door to Linux for the agent and the parts below it.',
      from: { path: '^(datastore|model|ipam|ipip|bgp|felix|cni|controllers|agent)/' },
      to: { path: '^lib/exec\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'kernel-through-port',
      severity: 'error',
      comment: 'What runs against a fake kernel in tests takes the real one as kernel/port.ts, and values.',
      from: { path: '^(felix|ipip|cni|agent)/', pathNot: '^agent/(main|wiring|cleanup)\\.ts$' },
      to: { path: '^kernel/(?!(port|change)\\.ts$)' },
    },
    {
      name: 'kernel-made-in-main',
      severity: 'error',
      comment:
        'The other files of the agent take the kernel as a parameter. Nftables is a manager on top of the port.',
      from: { path: '^agent/(wiring|cleanup)\\.ts$' },
      to: { path: '^kernel/(?!(port|change|nftables)\\.ts$)' },
    },
    {
      name: 'client-node-in-one-file',
      severity: 'error',
      from: { pathNot: '^datastore/kubernetes/kube-config\\.ts$' },
      to: { path: 'node_modules/@kubernetes/' },
    },
    {
      name: 'resolvable',
      severity: 'error',
      comment: 'What cannot be resolved escapes the other rules.',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
