import net from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { readConfig } from '../../../../agent/inputs/environment.ts';
import { SpeakerHost } from '../../../../agent/speaker/host.ts';
import { tcpTransport } from '../../../../bgp/transport/tcp.ts';
import { bgpConfigurationKind } from '../../../../datastore/schema/bgp-configuration.ts';
import { silentLog } from '../../../../lib/log.ts';
import { systemTime } from '../../../../lib/time.ts';

afterEach(() => {
  vi.useRealTimers();
});

const bgpConfiguration = (listenPort: number) =>
  bgpConfigurationKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'BGPConfiguration',
    metadata: { name: 'default' },
    spec: { bindMode: 'NodeIP', listenPort },
  });
const self = {
  name: 'n1',
  labels: {},
  addresses: { 4: { address: '127.0.0.1', length: 8 } },
  asNumber: undefined,
  clusterId: undefined,
  tunnels: {},
};

const PATIENCE = { timeout: 100_000 };

/** A host, and how often it reported a change. */
function hostOfSpeaker() {
  let changes = 0;
  const events = {
    changed: () => changes++,
    learned: () => undefined,
    converged: () => undefined,
    sessionChanged: () => undefined,
  };
  const modules = { time: systemTime, transport: tcpTransport, log: silentLog };
  const host = new SpeakerHost(readConfig({ NODENAME: 'n1' }), events, modules);
  return { host, changes: () => changes };
}

it('a speaker that cannot be created is reported with the reason, and creation is retried', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const configuration = bgpConfiguration(17_913);
  const { host, changes } = hostOfSpeaker();
  expect(() => host.configure(self, [4, 6], [configuration])).not.toThrow();
  await vi.waitFor(() => expect(host.error).toBe('this node has no IPv6 address for BGP'), PATIENCE);
  expect(host.speaker).toBeUndefined();
  vi.advanceTimersByTime(10_000);
  expect(changes()).toBe(1);
  vi.useRealTimers();
  host.configure(self, [4], [configuration]);
  await vi.waitFor(() => expect(host.error).toBeUndefined(), PATIENCE);
  expect(host.speaker).toBeDefined();
  await host.close();
});

it('a port in use is reported as an error until it is free', async () => {
  const other = net.createServer();
  await new Promise<void>((resolve) => {
    other.listen(17_914, '127.0.0.1', resolve);
  });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const configuration = bgpConfiguration(17_914);
  const { host, changes } = hostOfSpeaker();
  host.configure(self, [4], [configuration]);
  await vi.waitFor(() => expect(host.error).toMatch(/17914/), PATIENCE);
  await new Promise((resolve) => {
    other.close(resolve);
  });
  await vi.waitFor(() => {
    vi.advanceTimersByTime(10_000);
    expect(changes()).toBe(1);
  }, PATIENCE);
  vi.useRealTimers();
  host.configure(self, [4], [configuration]);
  await vi.waitFor(() => expect(host.error).toBeUndefined(), PATIENCE);
  await host.close();
});

it('a speaker adds and drops families in place, and is replaced when an address changes', async () => {
  const configuration = bgpConfigurationKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'BGPConfiguration',
    metadata: { name: 'default' },
    spec: { listenPort: 17_915 },
  });
  const { host, changes } = hostOfSpeaker();
  const both = { ...self, addresses: { ...self.addresses, 6: { address: 'fd00::1', length: 64 } } };
  host.configure(self, [4], [configuration]);
  await vi.waitFor(() => expect(host.speaker).toBeDefined(), { timeout: 30_000 });
  const { speaker } = host;
  host.configure(both, [4, 6], [configuration]);
  host.configure(self, [4], [configuration]);
  expect(host.speaker).toBe(speaker);
  const moved = { ...self, addresses: { 4: { address: '127.0.0.2', length: 8 } } };
  host.configure(moved, [4], [configuration]);
  // The closing speaker is no longer available, and closing is not a BGP error.
  expect([host.speaker, host.error]).toEqual([undefined, undefined]);
  await vi.waitFor(() => expect(host.speaker?.identifier).toBe('127.0.0.2'), { timeout: 30_000 });
  expect(changes()).toBe(2);
  await host.close();
});

it.each(['0.0.0.0', '1.2.3', '1.2.3.400', 'fd00::1', 'Hash', '1.2.3.4/32'])(
  'CALICO_ROUTER_ID=%s is refused with a sentence that names the variable',
  (text) => {
    expect(() => readConfig({ NODENAME: 'n1', CALICO_ROUTER_ID: text })).toThrow(
      `CALICO_ROUTER_ID=${text}: must be hash, or four octets such as 192.0.2.1 that are not all zero`,
    );
  },
);

it.each(['hash', '10.0.0.1', '255.0.0.1'])('CALICO_ROUTER_ID=%s is accepted', (text) => {
  expect(readConfig({ NODENAME: 'n1', CALICO_ROUTER_ID: text }).routerId).toBe(text);
});
