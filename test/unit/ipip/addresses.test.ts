import { describe, expect, it } from 'vitest';
import { nodeAnnotations } from '../../../datastore/schema/core.ts';
import { vtepMac } from '../../../model/tunnel.ts';
import { ipPool } from '../../helpers/objects.ts';
import { TunnelWorld } from '../../helpers/tunnel-world.ts';

const { ipv4IPIPTunnelAddr: IPIP, ipv4VXLANTunnelAddr: VXLAN, vxlanTunnelMACAddr: MAC } = nodeAnnotations;
const HANDLE = 'ipip-tunnel-addr-n1';
const always = [ipPool('10.1.0.0/16', { ipipMode: 'Always' })];
const never = [ipPool('10.1.0.0/16')];
const LINGER_MS = 15_000;
const RETRY_MS = 5_000;

/** Returns a world whose tunnel is published. */
async function published(): Promise<TunnelWorld> {
  const world = await TunnelWorld.create();
  world.pools = always;
  await world.settle();
  return world;
}

describe('the address of a tunnel that a pool needs', () => {
  it('is assigned from the pool and published on the Node when the device is up', async () => {
    const world = await TunnelWorld.create();
    world.pools = always;
    world.hasDevices = false;
    await world.settle();
    const address = world.addresses.address('ipip');
    expect(address).toMatch(/^10\.1\./);
    expect(world.addresses.kinds()).toEqual(['ipip']);
    expect(world.handles()).toEqual([HANDLE]);
    expect(world.annotation(IPIP)).toBeUndefined();
    world.hasDevices = true;
    await world.settle();
    expect(world.annotation(IPIP)).toBe(address);
    expect(world.addresses.problem).toBe('');
  });

  it('stays on the Node while the device is down', async () => {
    const world = await published();
    const address = world.annotation(IPIP);
    world.hasDevices = false;
    await world.settle();
    expect(world.annotation(IPIP)).toBe(address);
  });

  it('is published with the MAC address of a VXLAN device, and again when another program changes that', async () => {
    const world = await TunnelWorld.create();
    world.pools = [ipPool('10.2.0.0/16', { vxlanMode: 'Always' })];
    await world.settle();
    expect(world.annotation(VXLAN)).toBe(world.addresses.address('vxlan4'));
    expect(world.annotation(MAC)).toBe(vtepMac('n1', 4));
    await world.annotate({ [MAC]: '02:00:00:00:00:09' });
    expect(world.annotation(MAC)).toBe(vtepMac('n1', 4));
  });

  it('is published again each time that another program removes it', async () => {
    const world = await published();
    for (let time = 0; time < 3; time++) {
      await world.annotate({ [IPIP]: null });
      expect(world.annotation(IPIP)).toBe(world.addresses.address('ipip'));
    }
  });

  it('is written once, although the watch shows the write late', async () => {
    const world = await TunnelWorld.create();
    world.pools = always;
    world.late = world.node();
    let writes = 0;
    world.store.after = (operation) => {
      if (operation === 'patch') writes++;
    };
    await world.settle();
    await world.settle();
    expect(writes).toBe(1);
    world.late = undefined;
    await world.settle();
    expect(writes).toBe(1);
  });

  it('is assigned five seconds after a failure, without a change of anything else', async () => {
    const world = await TunnelWorld.create();
    world.pools = always;
    world.store.before = () => Promise.reject(new Error('the API is away'));
    await world.settle();
    world.store.before = async () => undefined;
    world.clock.advance(RETRY_MS);
    await new Promise((resolve) => setImmediate(resolve));
    expect(world.handles()).toEqual([HANDLE]);
  });

  it('is replaced when the pools no longer contain it, and published after that', async () => {
    const world = await published();
    world.pools = [ipPool('10.9.0.0/16', { ipipMode: 'Always' })];
    await world.settle();
    expect(world.addresses.address('ipip')).toMatch(/^10\.9\./);
    expect(world.annotation(IPIP)).toMatch(/^10\.9\./);
    expect(world.handles()).toEqual([HANDLE]);
  });

  it('is kept when its pool assigns no new addresses, also by an agent that restarts', async () => {
    const world = await published();
    const address = world.addresses.address('ipip');
    world.pools = [ipPool('10.1.0.0/16', { ipipMode: 'Always', disabled: true })];
    await world.settle();
    expect(world.addresses.address('ipip')).toBe(address);
    world.restart();
    await world.settle();
    expect(world.addresses.address('ipip')).toBe(address);
    expect(world.annotation(IPIP)).toBe(address);
  });

  it('is missing with a reason while the API is away, and assigned later', async () => {
    const world = await TunnelWorld.create();
    world.pools = [ipPool('10.1.0.0/16', { ipipMode: 'Always' })];
    world.store.before = () => Promise.reject(new Error('the API is away'));
    await world.settle();
    expect(world.addresses.problem).toBe('tunnel address: the API is away');
    expect(world.addresses.address('ipip')).toBeUndefined();
    world.store.before = async () => undefined;
    await world.advance(RETRY_MS);
    expect(world.addresses.problem).toBe('');
    expect(world.annotation(IPIP)).toBe(world.addresses.address('ipip'));
  });

  it('does not wait for that of another tunnel whose pool is exhausted', async () => {
    const world = await TunnelWorld.create();
    world.pools = [...always, ipPool('10.2.0.0/16', { vxlanMode: 'Always' }, 'b')];
    world.reserved = ['10.1.0.0/16'];
    await world.settle();
    expect(world.addresses.problem).toMatch(
      /^tunnel address: no IPs available in pools: \[10\.1\.0\.0\/16\]/,
    );
    expect(world.annotation(VXLAN)).toMatch(/^10\.2\./);
    world.reserved = [];
    await world.advance(RETRY_MS);
    expect(world.addresses.problem).toBe('');
    expect(world.annotation(IPIP)).toMatch(/^10\.1\./);
  });
});

describe('the address of a tunnel that no pool needs any more', () => {
  it('is withdrawn at once, and released after the time in which other nodes may use it', async () => {
    const world = await published();
    world.pools = never;
    await world.settle();
    expect(world.annotation(IPIP)).toBeUndefined();
    expect(world.addresses.kinds()).toEqual(['ipip']);
    await world.advance(LINGER_MS - 1);
    expect([world.addresses.kinds(), world.handles()]).toEqual([['ipip'], [HANDLE]]);
    await world.advance(1);
    expect([world.addresses.kinds(), world.handles()]).toEqual([[], []]);
    expect(world.addresses.address('ipip')).toBeUndefined();
  });

  it('is used again when a pool needs the tunnel before its release', async () => {
    const world = await published();
    const address = world.annotation(IPIP);
    world.pools = never;
    await world.settle();
    await world.advance(LINGER_MS - 1);
    world.pools = always;
    await world.settle();
    await world.advance(LINGER_MS);
    expect(world.annotation(IPIP)).toBe(address);
    expect(world.handles()).toEqual([HANDLE]);
  });

  it('has the whole time again when the tunnel ends a second time', async () => {
    const world = await published();
    world.pools = never;
    await world.settle();
    await world.advance(LINGER_MS - 1000);
    world.pools = always;
    await world.settle();
    world.pools = never;
    await world.settle();
    await world.advance(LINGER_MS - 1000);
    expect([world.addresses.kinds(), world.handles()]).toEqual([['ipip'], [HANDLE]]);
  });

  it('is not published any more when the API refused that before', async () => {
    const world = await TunnelWorld.create();
    world.pools = always;
    let writes = 0;
    world.store.before = (operation) =>
      operation === 'patch' ? Promise.reject(new Error('refused')) : Promise.resolve();
    world.store.after = (operation) => {
      if (operation === 'patch') writes++;
    };
    await world.settle();
    expect(world.addresses.problem).toBe('tunnel address: refused');
    world.pools = never;
    await world.settle();
    world.store.before = async () => undefined;
    await world.advance(RETRY_MS);
    expect([writes, world.annotation(IPIP), world.addresses.problem]).toEqual([0, undefined, '']);
  });

  it('is not released before the other nodes can learn of it, even when the API is away', async () => {
    const world = await published();
    world.pools = never;
    world.store.before = () => Promise.reject(new Error('the API is away'));
    await world.advance(LINGER_MS * 2);
    world.store.before = async () => undefined;
    await world.advance(RETRY_MS);
    expect(world.annotation(IPIP)).toBeUndefined();
    await world.advance(LINGER_MS - 1);
    expect([world.addresses.kinds(), world.handles()]).toEqual([['ipip'], [HANDLE]]);
    await world.advance(1);
    expect([world.addresses.kinds(), world.handles()]).toEqual([[], []]);
  });

  it('is withdrawn when another program publishes it, without a device', async () => {
    const world = await TunnelWorld.create();
    world.pools = never;
    await world.settle();
    await world.annotate({ [IPIP]: '10.1.0.9' });
    expect(world.annotation(IPIP)).toBeUndefined();
    expect(world.addresses.kinds()).toEqual([]);
  });

  it('stays while a pool is unreadable, with the whole time after that', async () => {
    const world = await published();
    const address = world.annotation(IPIP);
    world.pools = [];
    world.isUncertain = true;
    await world.settle();
    await world.advance(LINGER_MS * 3);
    expect([world.annotation(IPIP), world.handles()]).toEqual([address, [HANDLE]]);
    world.pools = never;
    world.isUncertain = false;
    await world.settle();
    expect(world.annotation(IPIP)).toBeUndefined();
    await world.advance(LINGER_MS - 1);
    expect(world.handles()).toEqual([HANDLE]);
    await world.advance(1);
    expect([world.addresses.kinds(), world.handles()]).toEqual([[], []]);
  });
});

describe('the address of a tunnel of an earlier run', () => {
  it('is used again', async () => {
    const world = await published();
    const address = world.annotation(IPIP);
    world.restart();
    await world.settle();
    expect(world.addresses.address('ipip')).toBe(address);
    expect([world.annotation(IPIP), world.handles()]).toEqual([address, [HANDLE]]);
  });

  it('lingers if it was published, because other nodes may use it', async () => {
    const world = await published();
    world.restart();
    world.pools = never;
    await world.settle();
    expect(world.addresses.kinds()).toEqual(['ipip']);
    expect([world.annotation(IPIP), world.handles()]).toEqual([undefined, [HANDLE]]);
    await world.advance(LINGER_MS);
    expect([world.addresses.kinds(), world.handles()]).toEqual([[], []]);
  });

  it('is released at once if it was not published, without a device', async () => {
    const world = await TunnelWorld.create();
    world.pools = always;
    world.hasDevices = false;
    await world.settle();
    world.restart();
    world.pools = never;
    await world.settle();
    expect([world.addresses.kinds(), world.handles()]).toEqual([[], []]);
  });

  it('waits while a pool is unreadable', async () => {
    const world = await published();
    const address = world.annotation(IPIP);
    world.restart();
    world.pools = [];
    world.isUncertain = true;
    await world.advance(LINGER_MS * 2);
    expect(world.addresses.address('ipip')).toBe(address);
    expect([world.annotation(IPIP), world.handles()]).toEqual([address, [HANDLE]]);
  });
});

describe('after a crash of any operation on the datastore', () => {
  /** Runs a life from `always` to `never` and back; the agent crashes at the given operation. Returns whether it did. */
  async function life(crashAt: number, when: 'before' | 'after', isRestarted: boolean) {
    const world = await TunnelWorld.create();
    let count = 0;
    let hasCrashed = false;
    const crash = () => {
      if (++count !== crashAt) return;
      hasCrashed = true;
      throw new Error('crash');
    };
    if (when === 'before') world.store.before = async () => crash();
    else world.store.after = crash;
    let isPending = isRestarted;
    const turn = async (milliseconds: number) => {
      await world.advance(milliseconds);
      if (hasCrashed && isPending) {
        isPending = false;
        world.restart();
        await world.settle();
      }
    };
    for (const pools of [always, never, always, never]) {
      world.pools = pools;
      for (let round = 0; round < 5; round++) await turn(RETRY_MS);
      const address = pools === always ? world.addresses.address('ipip') : undefined;
      const expected = pools === always ? [HANDLE] : [];
      expect([world.handles(), world.annotation(IPIP)]).toEqual([expected, address]);
      expect(world.addresses.kinds()).toEqual(pools === always ? ['ipip'] : []);
      expect(world.addresses.problem).toBe('');
    }
    world.addresses.close();
    return hasCrashed;
  }

  it.each([
    ['before', true],
    ['after', true],
    ['before', false],
    ['after', false],
  ] as const)(
    '%s one of them (restart: %s), the agent leaves no address behind and misses none',
    async (when, isRestarted) => {
      let crashes = 0;
      while (await life(crashes + 1, when, isRestarted)) crashes++;
      expect(crashes).toBeGreaterThan(8);
    },
  );
});
