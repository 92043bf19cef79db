// The direction of imports (DESIGN.md, "Folders"): lib <- datastore <- the pure middle <- the rim <- agent <- lab, calictl.
const pure = '^(ipam|felix/calc|ipip|bgp/(wire|session|rib|policy))/';
/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'lib-is-the-bottom',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^(agent|bgp|calictl|cni|controllers|datastore|felix|ipam|ipip|lab|test)/' },
    },
    {
      name: 'datastore-on-lib',
      severity: 'error',
      from: { path: '^datastore/' },
      to: { path: '^(agent|bgp|calictl|cni|controllers|felix|ipam|ipip|lab)/' },
    },
    {
      name: 'pure-middle',
      severity: 'error',
      comment: 'What decides takes values and returns values: no sockets, processes, files or clocks.',
      from: { path: pure },
      to: {
        path: '^(net|http|https|child_process|fs|fs/promises|timers|timers/promises|dgram)$|node_modules/(execa|pino|@kubernetes)/',
      },
    },
    {
      name: 'bgp-not-felix',
      severity: 'error',
      from: { path: '^bgp/' },
      to: { path: '^(felix|agent|cni|calictl|lab|ipam|ipip|datastore)/' },
    },
    { name: 'wire-alone', severity: 'error', from: { path: '^bgp/wire/' }, to: { path: '^bgp/(?!wire/)' } },
    {
      name: 'nothing-on-the-programs',
      severity: 'error',
      from: { path: '^(bgp|cni|felix|ipam|ipip)/' },
      to: { path: '^(agent|calictl|controllers|lab)/' },
    },
    {
      name: 'agent-below-lab',
      severity: 'error',
      from: { path: '^agent/' },
      to: { path: '^(calictl|controllers|lab)/' },
    },
    {
      name: 'execa-in-one-file',
      severity: 'error',
      from: { pathNot: '^lib/exec\\.ts$' },
      to: { path: 'node_modules/execa/' },
    },
    {
      name: 'client-node-in-one-file',
      severity: 'error',
      from: { pathNot: '^datastore/kubernetes/kube-config\\.ts$' },
      to: { path: 'node_modules/@kubernetes/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
