/** Which attributes change when a route crosses an AS border, checked in the bytes received and sent. */
import { describe, expect, it } from 'vitest';
import type { GroupSpec } from '../../../bgp/group/spec.ts';
import { BgpRole } from '../../../bgp/wire/iana.ts';
import { Relay } from '../../helpers/relay.ts';

const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
const plain = (text: string) => text.replace(/\s+/g, '');
const u16 = (value: number) => value.toString(16).padStart(4, '0');
/** Body of an UPDATE. */
const update = (attributes: string, nlri = '08 0a') =>
  bytesOf(`0000 ${u16(bytesOf(attributes).length)} ${attributes} ${nlri}`);
/** The attributes and prefixes sent to a listener, in hex, without header and lengths. */
const sent = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').slice(46);

const ORIGIN = '40 01 01 00';
const NEXT_HOP = '40 03 04 0a000032';
const FROM_65001 = '40 02 06 02 01 0000fde9';
const LOCAL_PREF = '40 05 04 00000064';
const external = { isIbgp: false, peerAs: 65001 };
const toExternal: Partial<GroupSpec> = { isIbgp: false, isClient: false };

describe('a route server (RFC 7947)', () => {
  const client = { ...external, role: BgpRole.ROUTE_SERVER };
  const toClient = { ...toExternal, isRouteServer: true };

  it('passes on a client’s AS_PATH, next hop, MED and communities unchanged (sections 2.2.1 to 2.2.4)', () => {
    const attributes = `${ORIGIN} ${FROM_65001} ${NEXT_HOP} 80 04 04 00000007 c0 08 04 00010002 c0 10 10 4004fde900000001 0002fde900000002`;
    for (const isFourOctetAs of [true, false]) {
      const relay = new Relay(client);
      const listener = relay.listen({ ...toClient, isFourOctetAs });
      relay.receive(update(attributes));
      const path = isFourOctetAs ? FROM_65001 : '40 02 04 02 01 fde9';
      expect(sent(listener.take())).toBe(plain(`${attributes.replace(FROM_65001, path)} 08 0a`));
    }
  });

  it('adds nothing to a path with 4-octet AS numbers for a client limited to 2-octet ones', () => {
    const relay = new Relay({ ...client, peerAs: 200_000 });
    const listener = relay.listen({ ...toClient, isFourOctetAs: false, localAs: 300_000 });
    relay.receive(update(`${ORIGIN} 40 02 06 02 01 00030d40 ${NEXT_HOP}`));
    expect(sent(listener.take())).toBe(
      plain(`${ORIGIN} 40 02 04 02 01 5ba0 ${NEXT_HOP} c0 11 06 02 01 00030d40 08 0a`),
    );
  });

  it('ignores NO_EXPORT and NO_ADVERTISE and passes them on (section 2.2.4)', () => {
    const relay = new Relay(client);
    const listener = relay.listen(toClient);
    relay.receive(update(`${ORIGIN} ${FROM_65001} ${NEXT_HOP} c0 08 08 ffffff01 ffffff02`));
    expect(sent(listener.take())).toContain('c00808ffffff01ffffff02');
  });

  it('keeps a global IPv6 next hop, and does not advertise a route with a link-local one', () => {
    const relay = new Relay(client);
    const self = `fd99${'00'.repeat(13)}01`;
    const listener = relay.listen({ ...toClient, family: 6, selfNextHop: self });
    const reach = (nextHop: string, prefix: string) =>
      update(
        `80 0e ${(5 + nextHop.length / 2 + 7).toString(16)} 0002 01 ${(nextHop.length / 2).toString(16)} ${nextHop} 00 ${prefix} ${ORIGIN} ${FROM_65001}`,
        '',
      );
    const hop = `20010db8${'00'.repeat(11)}07`;
    relay.receive(reach(hop, '30 20010db80001'));
    expect(sent(listener.take())).toContain(`00020110${hop}003020010db80001`);
    relay.receive(reach(`fe80${'00'.repeat(13)}07`, '30 20010db80002'));
    expect(listener.take().length).toBe(0);
    expect(relay.refusal(listener, '2001:db8:2::/48')).toMatch(/link-local.*RFC 7947/);
  });

  it('acts as an ordinary external peer for routes of other peers and with nextHopMode Self', () => {
    const internal = new Relay();
    const listener = internal.listen(toClient);
    internal.receive(update(`${ORIGIN} 40 02 00 ${NEXT_HOP} ${LOCAL_PREF}`));
    expect(sent(listener.take())).toBe(plain(`${ORIGIN} 40 02 06 02 01 0000fc00 40 03 04 0a090909 08 0a`));
    const relay = new Relay(client);
    const self = relay.listen({ ...toClient, nextHopMode: 'Self' });
    const other = relay.listen(toExternal);
    relay.receive(update(`${ORIGIN} ${FROM_65001} ${NEXT_HOP}`));
    expect(sent(self.take())).toBe(plain(`${ORIGIN} ${FROM_65001} 40 03 04 0a090909 08 0a`));
    expect(sent(other.take())).toBe(
      plain(`${ORIGIN} 40 02 0a 02 02 0000fc00 0000fde9 40 03 04 0a090909 08 0a`),
    );
  });

  it('still requires a client’s AS at the start of its paths (RFC 4271 section 6.3)', () => {
    const relay = new Relay(client);
    relay.receive(update(`${ORIGIN} 40 02 06 02 01 0000fdea ${NEXT_HOP}`));
    expect(relay.reason('10.0.0.0/8')).toMatch(/does not start with the peer's AS 65001/);
  });
});

describe('a client of a route server (RFC 7947 section 2.2.2.2)', () => {
  const fromServer = { ...external, role: BgpRole.ROUTE_SERVER_CLIENT };

  it.each([
    ['of another client', '40 02 06 02 01 0000fdea', 'best'],
    ['of the route server itself', FROM_65001, 'best'],
    ['that is empty', '40 02 00', 'the AS_PATH of an external peer is empty'],
    ['with our AS in it', '40 02 0a 02 02 0000fdea 0000fc00', 'AS loop: our AS 64512 is in the AS_PATH'],
  ])('judges a path %s', (_, path, reason) => {
    const relay = new Relay(fromServer);
    relay.receive(update(`${ORIGIN} ${path} ${NEXT_HOP}`));
    expect(relay.reason('10.0.0.0/8')).toBe(reason);
  });

  it('advertises its own routes as to any external peer', () => {
    const relay = new Relay();
    const listener = relay.listen(toExternal);
    relay.receive(update(`${ORIGIN} 40 02 00 ${NEXT_HOP} ${LOCAL_PREF}`));
    expect(sent(listener.take())).toBe(plain(`${ORIGIN} 40 02 06 02 01 0000fc00 40 03 04 0a090909 08 0a`));
  });
});

describe('extended communities (RFC 4360 section 6)', () => {
  const base = `${ORIGIN} 40 02 00 ${NEXT_HOP} ${LOCAL_PREF}`;
  const kept = '0002fc0000000001';
  const internal = ['4004fc0000000001', '430000000000000a', '4006aabbccddeeff'];

  it('that are non-transitive stay in the AS, and the others leave it in order', () => {
    const relay = new Relay();
    const inside = relay.listen();
    const outside = relay.listen(toExternal);
    relay.receive(update(`${base} c0 10 20 ${internal[0]} ${kept} ${internal[1]} 8006fc0000000002`));
    expect(sent(inside.take())).toContain(
      plain(`c0 10 20 ${internal[0]} ${kept} ${internal[1]} 8006fc0000000002`),
    );
    expect(sent(outside.take())).toContain(plain(`c0 10 10 ${kept} 8006fc0000000002`));
  });

  it('are removed as an attribute when none is transitive; otherwise the partial bit is kept', () => {
    const relay = new Relay();
    const outside = relay.listen(toExternal);
    relay.receive(update(`${base} c0 10 08 ${internal[2]}`));
    expect(sent(outside.take())).toBe(plain(`${ORIGIN} 40 02 06 02 01 0000fc00 40 03 04 0a090909 08 0a`));
    relay.receive(update(`${base} e0 10 10 ${internal[2]} ${kept}`));
    expect(sent(outside.take())).toContain(plain(`e0 10 08 ${kept}`));
  });

  it('shrink the attribute header when enough of them are removed', () => {
    const relay = new Relay();
    const outside = relay.listen(toExternal);
    relay.receive(update(`${base} d0 10 0140 ${kept.repeat(2)} ${internal[0]!.repeat(38)}`));
    expect(sent(outside.take())).toContain(plain(`c0 10 10 ${kept.repeat(2)} 080a`));
  });
});

describe('well-known communities (RFC 1997)', () => {
  it.each([
    ['NO_EXPORT', 'ffffff01', true],
    ['NO_EXPORT_SUBCONFED (this speaker has no confederation)', 'ffffff03', true],
    ['NO_ADVERTISE', 'ffffff02', false],
  ])('%s keeps a route from external peers', (_, community, goesInside) => {
    const relay = new Relay();
    const inside = relay.listen();
    const outside = relay.listen(toExternal);
    relay.receive(update(`${ORIGIN} 40 02 00 ${NEXT_HOP} ${LOCAL_PREF} c0 08 04 ${community}`));
    expect(inside.take().length > 0).toBe(goesInside);
    expect(outside.take().length).toBe(0);
  });
});

describe('GRACEFUL_SHUTDOWN (RFC 8326 section 4.1)', () => {
  const community = 'c0 08 04 ffff0000';

  it('from an internal peer keeps LOCAL_PREF as set, so a reflector changes nothing', () => {
    const relay = new Relay();
    const listener = relay.listen();
    relay.receive(update(`${ORIGIN} 40 02 00 ${NEXT_HOP} ${LOCAL_PREF} ${community}`));
    expect(sent(listener.take())).toContain(plain(`${LOCAL_PREF} ${community}`));
  });

  it('from an external peer sets LOCAL_PREF to 0', () => {
    const relay = new Relay(external);
    const listener = relay.listen();
    relay.receive(update(`${ORIGIN} ${FROM_65001} ${NEXT_HOP} ${community}`));
    expect(sent(listener.take())).toContain(plain(`40 05 04 00000000 ${community}`));
  });
});

describe('an AS loop (RFC 4271 section 9.1.2)', () => {
  const behindLocalAs = { ...external, localAs: 64999, globalAs: 64512 };
  const receive = (as: string, change = {}) => {
    const relay = new Relay({ ...behindLocalAs, ...change });
    relay.receive(update(`${ORIGIN} 40 02 0a 02 02 0000fde9 ${as} ${NEXT_HOP}`));
    return relay.reason('10.0.0.0/8');
  };

  it('is a path that contains the AS of the session or, with localASNumber, the AS of the speaker', () => {
    expect(receive('0000fde7')).toBe('AS loop: our AS 64999 or 64512 is in the AS_PATH');
    expect(receive('0000fc00')).toBe('AS loop: our AS 64999 or 64512 is in the AS_PATH');
    expect(receive('0000fc01')).toBe('best');
    expect(receive('0000fc00', { allowedLocalAs: 1 })).toBe('best');
  });

  it('is also found for a peer with 2-octet AS numbers, and when paths are judged again', () => {
    const relay = new Relay({ ...behindLocalAs, isFourOctetAs: false });
    relay.receive(update(`${ORIGIN} 40 02 06 02 02 fde9 fc00 ${NEXT_HOP}`));
    expect(relay.reason('10.0.0.0/8')).toMatch(/AS loop/);
    relay.ribs[4].rejudge(relay.sender, (path) => relay.receiver.judge(relay.ribs[4], path));
    relay.turn();
    expect(relay.reason('10.0.0.0/8')).toMatch(/AS loop/);
  });
});
