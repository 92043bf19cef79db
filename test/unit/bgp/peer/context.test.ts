import { describe, expect, it } from 'vitest';
import type { PeerConfig } from '../../../../bgp/peer/config.ts';
import { passesOn } from '../../../../bgp/peer/context.ts';

const peer = (change: Partial<PeerConfig>) => ({ asNumber: 64512, localAs: 64512, ...change }) as PeerConfig;
const external = peer({ asNumber: 65001 });
const plain = peer({});
const client = peer({ isClient: true, clusterId: '1.1.1.1' });
const nonClient = peer({ clusterId: '1.1.1.1' });

describe('a speaker', () => {
  it.each([
    ['passes routes of an external peer on to an internal one', external, plain, true],
    ['passes routes of an internal peer on to an external one', plain, external, true],
    ['does not pass routes of an internal peer on to an internal one', plain, plain, false],
    ['passes routes of a client on to a client', client, client, true],
    ['passes routes of a client on to another reflector', client, nonClient, true],
    ['passes routes of another reflector on to a client', nonClient, client, true],
    ['does not pass routes of another reflector on to another reflector', nonClient, nonClient, false],
  ])('%s', (_, from, to, isAdvertised) => {
    expect(passesOn(from, to)).toBe(isAdvertised);
  });
});
