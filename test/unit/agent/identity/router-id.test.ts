import fc from 'fast-check';
import { expect, it } from 'vitest';
import { hashedRouterId } from '../../../../agent/identity/router-id.ts';
import { parseAddress } from '../../../../lib/cidr.ts';

it('a router ID from a name is a unicast address, which every speaker accepts', () => {
  fc.assert(
    fc.property(fc.string(), (name) => {
      const id = hashedRouterId(name);
      const first = Number(id.split('.')[0]);
      expect(parseAddress(id)?.family).toBe(4);
      expect(first).toBeGreaterThan(0);
      expect(first).toBeLessThan(224);
    }),
  );
});

it('a node keeps its router ID across restarts and releases, and other nodes have others', () => {
  expect(hashedRouterId('node-1')).toBe(hashedRouterId('node-1'));
  const names = Array.from({ length: 1_000 }, (_, i) => `node-${i}`);
  expect(new Set(names.map(hashedRouterId)).size).toBe(1_000);
  // An ID that changed with a release would restart all sessions of the node.
  expect(hashedRouterId('node-1')).toMatchInlineSnapshot(`"53.151.27.230"`);
});
