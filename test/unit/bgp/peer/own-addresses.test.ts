/** Routes whose next hop is the receiving speaker are not used (RFC 4271 section 5.1.3). */
import { describe, expect, it } from 'vitest';
import { OwnAddresses } from '../../../../bgp/peer/own-addresses.ts';
import { Relay } from '../../../helpers/relay.ts';

const v4 = '0a630001';
const v6 = `fd99${'00'.repeat(13)}01`;

describe('the addresses of a speaker', () => {
  it('are those of its node and, while they are up, the local ends of its sessions', () => {
    const own = new OwnAddresses({ node: { 4: '172.18.0.11' } }, () => false);
    expect(own.has('ac12000b')).toBe(true);
    expect(own.has(v4)).toBe(false);
    own.sessionUp('a', '10.99.0.1');
    own.sessionUp('b', '10.99.0.1');
    own.sessionUp('c', 'fd99::1');
    own.sessionUp('d', 'fe80::1%eth0');
    expect([v4, v6, `fe80${'00'.repeat(13)}01`].map((hex) => own.has(hex))).toEqual([true, true, true]);
    own.sessionDown('a');
    own.sessionDown('a');
    expect(own.has(v4)).toBe(true);
    own.sessionDown('b');
    expect(own.has(v4)).toBe(false);
  });

  it('include those it listens on, with or without sessions', () => {
    const own = new OwnAddresses({ node: {}, listen: ['10.99.0.1', 'fd99::1'] }, () => false);
    expect([v4, v6].map((hex) => own.has(hex))).toEqual([true, true]);
    own.sessionUp('a', '10.99.0.1');
    own.sessionDown('a');
    expect(own.has(v4)).toBe(true);
  });

  it('follow a session that returns with another local address', () => {
    const own = new OwnAddresses({ node: {} }, () => false);
    own.sessionUp('a', '10.99.0.1');
    own.sessionUp('a', '10.99.0.2');
    expect([v4, '0a630002'].map((hex) => own.has(hex))).toEqual([false, true]);
    own.sessionUp('a', undefined);
    expect(own.has('0a630002')).toBe(false);
  });

  it('exclude those that a reflector shares with the agent on its node, whose routes use them as next hop', () => {
    const peers = new Set(['10.99.0.1']);
    const own = new OwnAddresses({ node: {} }, (address) => peers.has(address));
    own.sessionUp('a', '10.99.0.1');
    expect(own.has(v4)).toBe(false);
    peers.clear();
    expect(own.has(v4)).toBe(true);
  });
});

const ORIGIN = '40 01 01 00';
const REST = '40 02 00 40 05 04 00000064';
const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
const update = (attributes: string, nlri: string) =>
  bytesOf(`0000 ${bytesOf(attributes).length.toString(16).padStart(4, '0')} ${attributes} ${nlri}`);
const reach = (nextHop: string) =>
  update(
    `80 0e ${(12 + nextHop.length / 2).toString(16)} 0002 01 ${(nextHop.length / 2).toString(16)} ${nextHop} 00 30 20010db80001 ${ORIGIN} ${REST}`,
    '',
  );

it.each([
  [
    'NEXT_HOP',
    4 as const,
    update(`${ORIGIN} 40 02 00 40 03 04 ${v4} 40 05 04 00000064`, '08 0a'),
    '10.0.0.0/8',
  ],
  ['the global next hop of MP_REACH_NLRI', 6 as const, reach(v6), '2001:db8:1::/48'],
  ['the global one of two next hops', 6 as const, reach(`${v6}fe80${'00'.repeat(13)}07`), '2001:db8:1::/48'],
])('a route is neither used nor advertised when %s is this speaker', (_, family, body, prefix) => {
  const own = new OwnAddresses({ node: {} }, () => false);
  const relay = new Relay({ ownAddresses: own });
  const listener = relay.listen({ family, selfNextHop: family === 4 ? '0a090909' : v6 });
  relay.receive(body);
  expect(relay.reason(prefix, family)).toBe('best');
  listener.take();
  own.sessionUp('a', family === 4 ? '10.99.0.1' : 'fd99::1');
  relay.receive(body);
  expect(relay.reason(prefix, family)).toBe('the next hop is this speaker (RFC 4271 section 5.1.3)');
  expect(listener.take().length).toBeGreaterThan(0);
  expect(relay.refusal(listener, prefix)).toBe('no usable path exists');
});
