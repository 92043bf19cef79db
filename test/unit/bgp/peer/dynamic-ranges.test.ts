import { expect, it } from 'vitest';
import type { PeerConfig } from '../../../../bgp/peer/config.ts';
import { DynamicRanges } from '../../../../bgp/peer/dynamic-ranges.ts';

const template: PeerConfig = {
  address: '',
  port: 179,
  asNumber: 64512,
  localAs: 64512,
  localAddress: undefined,
  families: [4],
  isPassive: false,
  peerType: 'dynamic',
  name: 'range',
  holdTimeSeconds: 90,
  restartTimeSeconds: 120,
  allowedLocalAs: 0,
};

it('an address gets the template of the first range that contains it, as a passive peer', () => {
  const ranges = new DynamicRanges();
  ranges.set([
    { prefix: '10.1.0.0/24', template },
    { prefix: '10.1.0.0/16', template: { ...template, asNumber: 64513 } },
    { prefix: 'fd00::/64', template: { ...template, asNumber: 64514 } },
  ]);
  expect(ranges.configAt('10.1.0.9')).toEqual({ ...template, address: '10.1.0.9', isPassive: true });
  expect(ranges.configAt('10.1.1.9')?.asNumber).toBe(64513);
  expect(ranges.configAt('fd00::9')?.asNumber).toBe(64514);
  for (const other of ['10.2.0.1', 'fd01::1', 'no address']) expect(ranges.configAt(other)).toBeUndefined();
});

it('only a dynamic peer is configured by its range, until the range is removed', () => {
  const ranges = new DynamicRanges();
  ranges.set([{ prefix: '10.1.0.0/24', template }]);
  const peer = { ...template, address: '10.1.0.9' };
  expect(ranges.configFor(peer)?.address).toBe('10.1.0.9');
  expect(ranges.configFor({ ...peer, peerType: 'global' })).toBeUndefined();
  ranges.set([]);
  expect(ranges.isEmpty).toBe(true);
  expect(ranges.configFor(peer)).toBeUndefined();
});
