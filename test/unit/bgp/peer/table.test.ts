import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PeerTable } from '../../../../bgp/peer/table.ts';

const peer = (key: string, address: string, isDialOnly = false) => ({ key, config: { address, isDialOnly } });

describe('connections from an address', () => {
  it('belong to the peer that was added last, and then again to the other one', () => {
    const table = new PeerTable<ReturnType<typeof peer>>();
    const [old, successor] = [peer('a|179', 'a'), peer('a|1790', 'a')];
    table.add(old);
    table.add(successor);
    expect(table.acceptor('a')).toBe(successor);
    table.delete(successor);
    expect(table.acceptor('a')).toBe(old);
    table.delete(old);
    expect([table.acceptor('a'), [...table]]).toEqual([undefined, []]);
  });

  it('belong to a preferred peer', () => {
    const table = new PeerTable<ReturnType<typeof peer>>();
    const [one, other] = [peer('a|179', 'a'), peer('a|1790', 'a')];
    table.add(one);
    table.add(other);
    table.prefer(one);
    expect(table.acceptor('a')).toBe(one);
    table.delete(one);
    expect(table.acceptor('a')).toBe(other);
  });

  it('never belong to a peer that only dials', () => {
    const table = new PeerTable<ReturnType<typeof peer>>();
    const dialing = peer('a|179', 'a', true);
    table.add(dialing);
    table.prefer(dialing);
    expect([table.acceptor('a'), table.get('a|179')]).toEqual([undefined, dialing]);
    const accepting = peer('a|1790', 'a');
    table.add(accepting);
    table.delete(dialing);
    expect(table.acceptor('a')).toBe(accepting);
  });

  it('always belong to a present peer with this address, if there is one that accepts', () => {
    const step = fc.tuple(fc.constantFrom('add', 'prefer', 'delete'), fc.nat(3));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const table = new PeerTable<ReturnType<typeof peer>>();
        const all = [0, 1, 2, 3].map((n) => peer(`${n}`, n < 3 ? 'a' : 'b', n === 2));
        for (const [what, index] of steps) {
          const one = all[index];
          if (!one) continue;
          const isPresent = table.has(one.key);
          if (what === 'add' && !isPresent) table.add(one);
          if (what === 'prefer' && isPresent) table.prefer(one);
          if (what === 'delete' && isPresent) table.delete(one);
        }
        for (const address of ['a', 'b']) {
          const candidates = [...table].filter(
            ({ config }) => config.address === address && !config.isDialOnly,
          );
          const acceptor = table.acceptor(address);
          if (candidates.length === 0) expect(acceptor).toBeUndefined();
          else expect(candidates).toContain(acceptor);
        }
      }),
    );
  });
});
