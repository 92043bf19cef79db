import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import {
  addressAt,
  addressBytes,
  canonicalCidr,
  contains,
  formatAddress,
  formatBytes,
  hasHostBits,
  mustCidr,
  overlaps,
  parseAddress,
  parseCidr,
} from '../../../lib/cidr.ts';

const v4 = fc.nat(0xffffffff).map((value) => ({ family: 4 as const, value: BigInt(value) }));
// Many groups of zeros, because their abbreviation makes IPv6 text difficult.
const v6 = fc
  .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((groups) => ({
    family: 6 as const,
    value: groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n),
  }));

describe('addresses', () => {
  it('survive conversion to text and bytes, and agree with ipaddr.js', () => {
    fc.assert(
      fc.property(fc.oneof(v4, v6), (address) => {
        const text = formatAddress(address);
        expect(parseAddress(text)).toEqual(address);
        expect(ipaddr.parse(text).toByteArray()).toEqual([...addressBytes(address)]);
        expect(formatBytes(addressBytes(address))).toBe(text);
      }),
    );
  });

  it.each([
    ['2001:0db8:0:0:0:0:0:1', '2001:db8::1'],
    ['::', '::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['0:0:1:0:0:1:0:0', '::1:0:0:1:0:0'],
    ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ])('%s is formatted as %s (RFC 5952)', (text, canonical) => {
    expect(formatAddress(parseAddress(text)!)).toBe(canonical);
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.0.0.1',
    '01.2.3.4',
    '1:2',
    ':::',
    '1::2::3',
    '12345::',
    'g::',
    '1.2.3.4/8',
    ' 1.2.3.4',
  ])('"%s" is not an address', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

describe('prefixes', () => {
  it.each(['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/8/8', '/8'])(
    '"%s" is not a prefix',
    (text) => {
      expect(parseCidr(text)).toBeUndefined();
    },
  );

  it('contain the same addresses as in ipaddr.js', () => {
    fc.assert(
      fc.property(v4, fc.nat(32), v4, (network, length, address) => {
        const outer = { ...network, length };
        const expected = (ipaddr.parse(formatAddress(address)) as ipaddr.IPv4).match(
          ipaddr.parse(formatAddress(network)) as ipaddr.IPv4,
          length,
        );
        expect(contains(outer, address)).toBe(expected);
      }),
    );
  });

  it('have the expected host bits, overlaps and canonical forms', () => {
    expect(hasHostBits(mustCidr('10.0.0.1/24'))).toBe(true);
    expect(canonicalCidr('10.0.0.77/26')).toBe('10.0.0.64/26');
    expect(overlaps(mustCidr('10.0.0.0/8'), mustCidr('10.244.0.0/16'))).toBe(true);
    expect(overlaps(mustCidr('10.0.0.0/8'), mustCidr('::/0'))).toBe(false);
    expect(formatAddress(addressAt(mustCidr('10.0.0.64/26'), 63))).toBe('10.0.0.127');
  });
});
