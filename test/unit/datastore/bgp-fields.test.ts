import { describe, expect, it } from 'vitest';
import { isHoldTime, parsePeerIP } from '../../../datastore/schema/bgp-fields.ts';

describe('the hold time of a session (RFC 4271 section 4.2)', () => {
  it.each(['0s', '3s', '90s', '1m30s', '65535s'])('may be %s', (text) => expect(isHoldTime(text)).toBe(true));
  it.each(['1s', '2s', '2999ms', '65536s', '24h'])('may not be %s', (text) =>
    expect(isHoldTime(text)).toBe(false),
  );
});

describe('peerIP of a BGPPeer', () => {
  it('has a port only after an IPv4 address or an IPv6 address in brackets', () => {
    expect(parsePeerIP('192.0.2.1:1179')).toEqual({ address: '192.0.2.1', port: 1179 });
    expect(parsePeerIP('[2001:db8::1]:1179')).toEqual({ address: '2001:db8::1', port: 1179 });
    expect(parsePeerIP('2001:db8::1')).toEqual({ address: '2001:db8::1', port: undefined });
    expect(parsePeerIP('192.0.2.1:0')).toBeUndefined();
    expect(parsePeerIP('192.0.2.1:65536')).toBeUndefined();
  });

  it('has a zone only after a link-local address', () => {
    expect(parsePeerIP('fe80::1%eth0')).toEqual({ address: 'fe80::1%eth0', port: undefined });
    expect(parsePeerIP('2001:db8::1%eth0')).toBeUndefined();
    expect(parsePeerIP('fe80::1%eth0%eth1')).toBeUndefined();
    expect(parsePeerIP('fe80::1%a-name-of-16-chr')).toBeUndefined();
  });
});
