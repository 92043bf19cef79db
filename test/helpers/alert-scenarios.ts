/** Series over time, in promtool notation, and exactly the alerts that they raise, with their labels. */
type Labels = Readonly<Record<string, string>>;

interface Scenario {
  readonly name: string;
  readonly series: Readonly<Record<string, string>>;
  /** Minute at which the alerts are evaluated; default 30. */
  readonly minutes?: number;
  readonly alerts: Readonly<Record<string, readonly Labels[]>>;
}

const warning = { severity: 'warning' };
const critical = { severity: 'critical' };
const always = (value: number) => `${value}x60`;
/** From the fifth minute on. */
const from5 = (before: number, after: number) => `${before}x4 ${after}x60`;
const job = 'job="cali-node"';

const nodes = [1, 2, 3, 4, 5, 6].map((number) => ({
  name: `n${number}`,
  addresses: [`10.0.0.${number}`, `fd00::${number}`],
  instance: `10.0.0.${number}:9091`,
}));
type Node = (typeof nodes)[number];
const session = (of: Node, to: Node, address: string) =>
  `cali_bgp_peer_up{${job},instance="${of.instance}",peer="${address}",peer_node="${to.name}",type="node-to-node mesh"}`;

/** Series of a dual-stack cluster: healthy, except for nodes not scraped and the sessions that `change` overrides. */
function mesh(
  isScraped: (node: Node) => boolean,
  change: (of: Node, to: Node) => string | undefined,
): Record<string, string> {
  const series: Record<string, string> = {};
  for (const of of nodes) {
    series[`up{${job},instance="${of.instance}"}`] = isScraped(of) ? always(1) : from5(1, 0);
    series[`cali_node_ready{${job},instance="${of.instance}"}`] = isScraped(of) ? always(1) : '1x4 stale';
    for (const to of nodes.filter((one) => one !== of))
      for (const address of to.addresses)
        series[session(of, to, address)] = isScraped(of) ? (change(of, to) ?? always(1)) : '1x4 stale';
  }
  return series;
}
const [, second, lost] = [nodes[0]!, nodes[1]!, nodes[2]!];
const healthy = mesh(
  () => true,
  () => undefined,
);
const one = (series: string, values: string) => ({ ...healthy, [series]: values });
const node1 = `${job},instance="10.0.0.1:9091"`;
const controllers = 'job="cali-controllers",instance="10.0.0.1:9094"';

export const alertScenarios: readonly Scenario[] = [
  { name: 'a healthy cluster raises no alert', series: healthy, alerts: {} },
  {
    name: 'a lost node raises one alert for both families',
    series: mesh(
      (node) => node !== lost,
      (_, to) => (to === lost ? from5(1, 0) : undefined),
    ),
    alerts: { CaliBgpNodeUnreachable: [{ peer_node: lost.name, ...warning }] },
  },
  {
    name: 'a node that is cut off but still scraped raises alerts for a lost and for an isolated node',
    series: mesh(
      () => true,
      (of, to) => (to === lost || of === lost ? from5(1, 0) : undefined),
    ),
    alerts: {
      CaliBgpNodeUnreachable: [{ peer_node: lost.name, ...warning }],
      CaliBgpNodesIsolated: [critical],
    },
  },
  {
    name: 'one lost pair of nodes raises one alert',
    series: mesh(
      () => true,
      (of, to) => ([of, to].includes(lost) && [of, to].includes(second) ? from5(1, 0) : undefined),
    ),
    alerts: { CaliBgpSessionsDown: [warning] },
  },
  {
    name: 'a router that all nodes lose raises one alert',
    series: {
      ...healthy,
      ...Object.fromEntries(
        nodes.map(({ instance }) => [
          `cali_bgp_peer_up{${job},instance="${instance}",peer="192.0.2.1",peer_node="",type="global"}`,
          from5(1, 0),
        ]),
      ),
    },
    alerts: { CaliBgpPeerDown: [{ peer: '192.0.2.1', ...warning }] },
  },
  {
    name: 'a node whose sessions flap raises one alert, although the other sides flap with it',
    series: {
      ...healthy,
      ...Object.fromEntries(
        nodes.flatMap((of) =>
          nodes
            .filter((to) => to !== of)
            .map((to) => [
              `cali_bgp_peer_flaps_total{${job},instance="${of.instance}",peer="${to.addresses[0]}",peer_node="${to.name}"}`,
              of === lost || to === lost ? '0+1x60' : always(0),
            ]),
        ),
      ),
    },
    alerts: { CaliBgpNodeFlaps: [{ peer_node: lost.name, ...warning }] },
  },
  {
    name: 'a router whose sessions flap raises an alert',
    series: one(`cali_bgp_peer_flaps_total{${node1},peer="192.0.2.1",peer_node=""}`, '0+1x60'),
    alerts: { CaliBgpPeerFlaps: [{ peer: '192.0.2.1', ...warning }] },
  },
  {
    name: 'BFD that is down while BGP is up raises an alert',
    series: one(`cali_bgp_peer_bfd_up{${node1},peer="10.0.0.2",peer_node="n2"}`, from5(1, 0)),
    alerts: { CaliBfdDown: [{ peer: '10.0.0.2', ...warning }] },
  },
  {
    name: 'a slow peer raises an alert',
    series: one(`cali_bgp_queued_bytes_max{${node1}}`, from5(0, 2e6)),
    alerts: { CaliBgpSlowPeer: [{ instance: '10.0.0.1:9091', ...warning }] },
  },
  {
    name: 'slow convergence raises an alert',
    series: {
      ...one(`cali_bgp_convergence_seconds_bucket{${node1},le="0.5"}`, always(0)),
      [`cali_bgp_convergence_seconds_bucket{${node1},le="1"}`]: '0+10x60',
      [`cali_bgp_convergence_seconds_bucket{${node1},le="+Inf"}`]: '0+10x60',
    },
    alerts: { CaliBgpSlowConvergence: [{ instance: '10.0.0.1:9091', ...warning }] },
  },
  {
    name: 'malformed UPDATEs raise an alert',
    series: one(`cali_bgp_malformed_updates_total{${node1}}`, '0+1x60'),
    alerts: { CaliBgpMalformedUpdates: [warning] },
  },
  {
    name: 'agents that cannot be scraped while their sessions are up raise one alert',
    series: {
      ...healthy,
      [`up{${job},instance="10.0.0.1:9091"}`]: from5(1, 0),
      [`up{${job},instance="10.0.0.2:9091"}`]: from5(1, 0),
    },
    alerts: { CaliTargetsGone: [{ job: 'cali-node', ...warning }] },
  },
  {
    name: 'the absence of all agents raises an alert',
    series: { 'up{job="other"}': always(1) },
    alerts: { CaliNoAgents: [critical] },
  },
  {
    name: 'agents that are not ready raise one alert',
    series: {
      ...healthy,
      [`cali_node_ready{${node1}}`]: from5(1, 0),
      [`cali_node_ready{${job},instance="10.0.0.2:9091"}`]: from5(1, 0),
    },
    alerts: { CaliNodesNotReady: [critical] },
  },
  {
    name: 'a process that restarts raises an alert',
    series: one(`process_start_time_seconds{${node1}}`, '0+100x60'),
    alerts: { CaliRestarts: [{ job: 'cali-node', ...warning }] },
  },
  {
    name: 'an unreachable API server raises one alert',
    series: {
      ...healthy,
      ...Object.fromEntries(
        nodes.flatMap(({ instance }) =>
          ['nodes', 'ippools'].map((resource) => [
            `cali_datastore_watch_up{${job},instance="${instance}",resource="${resource}"}`,
            from5(1, 0),
          ]),
        ),
      ),
    },
    alerts: { CaliWatchesDown: [warning] },
  },
  {
    name: 'a tunnel device that is down on two nodes raises one alert',
    series: {
      ...one(`cali_tunnel_up{${node1},device="vxlan.cali"}`, from5(1, 0)),
      [`cali_tunnel_up{${job},instance="10.0.0.2:9091",device="vxlan.cali"}`]: from5(1, 0),
    },
    alerts: { CaliTunnelDown: [{ device: 'vxlan.cali', ...critical }] },
  },
  {
    name: 'a kernel that differs from the desired state raises an alert',
    series: one(`cali_dataplane_problems{${node1}}`, from5(0, 3)),
    alerts: { CaliDataplaneProblems: [warning] },
  },
  {
    name: 'another program that reverts changes raises an alert',
    series: one(`cali_oscillating{${node1},kind="route"}`, from5(0, 1)),
    alerts: { CaliOscillation: [{ kind: 'route', ...warning }] },
  },
  {
    name: 'an object that all agents cannot read raises one alert',
    series: {
      ...one(`cali_unreadable_objects{${node1},kind="IPPool"}`, from5(0, 1)),
      [`cali_unreadable_objects{${job},instance="10.0.0.2:9091",kind="IPPool"}`]: from5(0, 1),
    },
    alerts: { CaliObjectsUnreadable: [{ kind: 'IPPool', ...warning }] },
  },
  {
    name: 'pods that do not start raise an alert',
    series: one(`cali_cni_failures_total{${node1},command="ADD"}`, '0+1x60'),
    alerts: { CaliCniFailures: [{ command: 'ADD', ...warning }] },
  },
  {
    name: 'a pool that is nearly full raises an alert',
    series: {
      ...one(`ipam_allocations_in_use{${controllers},ippool="p",node="n1"}`, from5(10, 160)),
      [`ipam_allocations_in_use{${controllers},ippool="p",node="n2"}`]: from5(10, 80),
      [`ipam_ippool_size{${controllers},ippool="p"}`]: always(256),
      [`cali_ipam_free_blocks{${controllers},ippool="p"}`]: always(1),
    },
    alerts: { CaliIpamPoolNearlyFull: [{ ippool: 'p', ...warning }] },
  },
  {
    name: 'a pool without a free block raises an alert',
    series: one(`cali_ipam_free_blocks{${controllers},ippool="p"}`, from5(1, 0)),
    alerts: { CaliIpamNoFreeBlock: [{ ippool: 'p', ...warning }] },
  },
  {
    name: 'controllers that are not ready raise an alert',
    series: one(`cali_controllers_ready{${controllers}}`, from5(1, 0)),
    alerts: { CaliControllersNotReady: [warning] },
  },
];
