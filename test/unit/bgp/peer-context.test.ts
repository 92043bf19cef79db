import { describe, expect, it } from 'vitest';
import type { PeerConfig } from '../../../bgp/peer-config.ts';
import { passesOn } from '../../../bgp/peer-context.ts';

const peer = (change: Partial<PeerConfig>) => ({ asNumber: 64512, localAs: 64512, ...change }) as PeerConfig;
const external = peer({ asNumber: 65001 });
const plain = peer({});
const client = peer({ isClient: true, clusterId: '1.1.1.1' });
const nonClient = peer({ clusterId: '1.1.1.1' });

describe('routes of one peer are told to another', () => {
  it.each([
    ['external to internal', external, plain, true],
    ['internal to external', plain, external, true],
    ['internal to internal', plain, plain, false],
    ['client to client', client, client, true],
    ['client to another reflector', client, nonClient, true],
    ['another reflector to client', nonClient, client, true],
    ['between other reflectors', nonClient, nonClient, false],
  ])('%s', (_, from, to, isTold) => {
    expect(passesOn(from, to)).toBe(isTold);
  });
});
