import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FlowReport } from '../../lab/prober.ts';
import { TestLab, until } from '../helpers/lab.ts';

/** Returns the changes that `ip monitor` reported for our routes, of either protocol. */
function ourRouteEvents(lines: readonly string[]): string[] {
  return lines.filter((line) => /proto (161|162)\b/.test(line));
}

function lossOf(flows: readonly FlowReport[]) {
  return flows.filter(({ lost }) => lost > 0);
}

describe('traffic continues while an agent or the API server fails', () => {
  let lab: TestLab;
  const nodes = ['node1', 'node2', 'node3', 'node4'];
  beforeAll(async () => {
    // On a busy machine, agents that start together need more than the 10 s that they wait for each other.
    process.env['CALI_UNREACHABLE_TIME'] = '60';
    lab = await TestLab.start();
    delete process.env['CALI_UNREACHABLE_TIME'];
  });
  afterAll(() => lab?.stop());

  const allUp = () =>
    nodes.every((node) => lab.status(node).bgp.peers.every(({ state }) => state === 'Established'));
  const monitors = () => nodes.map((node) => lab.follow(node, 'ip', '-o', 'monitor', 'route'));

  it('an agent that is killed and restarted loses no packet and touches no route', async () => {
    const before = lab.sh('node2', 'ip route show; ip -6 route show');
    const watching = monitors();
    await lab.ask({ do: 'flows start', intervalMs: 10 });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await lab.ask({ do: 'node kill', name: 'node2' });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await lab.ask({ do: 'node start', name: 'node2' });
    await until(
      'all sessions are up again and settled',
      20_000,
      () => allUp() && lab.status('node2').bgp.isSettled,
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    const flows = await lab.flows();
    expect(flows.length).toBeGreaterThan(24);
    expect(Math.min(...flows.map(({ sent, unsent }) => sent + unsent))).toBeGreaterThan(200);
    expect(Math.min(...flows.map(({ sent }) => sent))).toBeGreaterThan(50);
    expect(lossOf(flows)).toEqual([]);
    for (const watch of watching) expect(ourRouteEvents(await watch.stop())).toEqual([]);
    expect(lab.sh('node2', 'ip route show; ip -6 route show')).toBe(before);
  });

  it('agents that are all killed at once and restarted lose no packet and touch no route', async () => {
    const watching = monitors();
    await lab.ask({ do: 'flows start', intervalMs: 10 });
    await Promise.all(nodes.map((name) => lab.ask({ do: 'node kill', name })));
    await new Promise((resolve) => setTimeout(resolve, 500));
    await Promise.all(nodes.map((name) => lab.ask({ do: 'node start', name })));
    await until(
      'all sessions are up and settled',
      30_000,
      () => allUp() && nodes.every((node) => lab.status(node).bgp.isSettled),
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(lossOf(await lab.flows())).toEqual([]);
    for (const watch of watching) expect(ourRouteEvents(await watch.stop())).toEqual([]);
  });

  it('an agent that is stopped by SIGTERM leaves forwarding in place', async () => {
    const watching = monitors();
    await lab.ask({ do: 'flows start', intervalMs: 10 });
    await lab.ask({ do: 'node stop', name: 'node3' });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await lab.ask({ do: 'node start', name: 'node3' });
    await until('all sessions are up again', 20_000, allUp);
    expect(lossOf(await lab.flows())).toEqual([]);
    for (const watch of watching) expect(ourRouteEvents(await watch.stop())).toEqual([]);
  });

  it('a restart of the API server does not affect traffic or sessions', async () => {
    const watching = monitors();
    const since = nodes.map((node) => lab.status(node).bgp.peers.map((peer) => peer.since));
    await lab.ask({ do: 'flows start', intervalMs: 10 });
    await lab.ask({ do: 'api stop' });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await lab.ask({ do: 'api start' });
    await until('a pod can be added again', 20_000, async () => {
      try {
        await lab.ask({ do: 'pod add', node: 'node1', name: 'after-api' });
        return true;
      } catch {
        return false;
      }
    });
    expect(lossOf(await lab.flows())).toEqual([]);
    expect(nodes.map((node) => lab.status(node).bgp.peers.map((peer) => peer.since))).toEqual(since);
    const events = (await Promise.all(watching.map((watch) => watch.stop()))).flat();
    const pods = (await lab.ask({ do: 'show' })) as { pods: { name: string; addresses: string[] }[] };
    const added = pods.pods.find(({ name }) => name === 'after-api')!.addresses;
    expect(ourRouteEvents(events).filter((line) => !added.some((address) => line.includes(address)))).toEqual(
      [],
    );
    await lab.ask({ do: 'pod delete', name: 'after-api' });
  });

  it('an API server with a torn write in its journal recovers everything that it had acknowledged', async () => {
    const objects = () =>
      lab.sh(
        'node1',
        'calictl get ipamblocks -o json; calictl get ippools -o json; calictl get pods -o json',
      );
    const before = objects();
    const watching = monitors();
    await lab.ask({ do: 'flows start', intervalMs: 10 });
    await lab.ask({ do: 'api kill' });
    // Appends half a record, as a power cut leaves it.
    lab.sh(
      'lab',
      `printf '0badf00d {"revision":99999,"key":"projectcalico.org/ippools/default-ipv4-ippool","obj' >> /run/cali-lab/api/journal.log`,
    );
    await lab.ask({ do: 'api start' });
    expect(objects()).toBe(before);
    expect(lab.sh('lab', 'grep -c torn /run/cali-lab/log/api.log').trim()).toBe('1');
    await lab.ask({ do: 'pod add', node: 'node4', name: 'after-cut' });
    expect(await lab.unreachable()).toEqual([]);
    await lab.ask({ do: 'pod delete', name: 'after-cut' });
    expect(lossOf(await lab.flows())).toEqual([]);
    const events = ourRouteEvents((await Promise.all(watching.map((watch) => watch.stop()))).flat());
    expect(events.filter((line) => !line.includes('cali') && !line.includes('local '))).toEqual([]);
  });

  it('an agent killed while the API server is down recovers when it returns, losing no packet', async () => {
    await lab.ask({ do: 'flows start', intervalMs: 10 });
    await lab.ask({ do: 'api kill' });
    await lab.ask({ do: 'node kill', name: 'node1' });
    const starting = lab.ask({ do: 'node start', name: 'node1' });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await lab.ask({ do: 'api start' });
    await starting;
    await until('all sessions are up again', 20_000, allUp);
    expect(lossOf(await lab.flows())).toEqual([]);
    expect(await lab.unreachable()).toEqual([]);
  });
});
