/** OPEN and ROUTE-REFRESH as bytes: which are accepted, and which NOTIFICATION the others cause. */
import { describe, expect, it } from 'vitest';
import { negotiate } from '../../../../bgp/session/negotiate.ts';
import { offeredOpen } from '../../../../bgp/session/offer.ts';
import type { SessionConfig } from '../../../../bgp/session/session.ts';
import { Framer } from '../../../../bgp/wire/framer.ts';
import { decodeMessage, encodeMessage, type Message } from '../../../../bgp/wire/message.ts';
import { WireError } from '../../../../bgp/wire/wire-error.ts';

const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const octets = (text: string) => bytesOf(text).length;
const u8 = (value: number) => value.toString(16).padStart(2, '0');
const u16 = (value: number) => value.toString(16).padStart(4, '0');

/** A message in hex: a header, then the body. */
const message = (type: number, body: string) =>
  `${'ff'.repeat(16)} ${u16(19 + octets(body))} ${u8(type)} ${body}`;
/** An OPEN with version 4, hold time 90, identifier 10.0.0.2, and the rest as given. */
const open = (rest: string, as = 'fde9') => message(1, `04 ${as} 005a 0a000002 ${rest}`);
/** One parameter with these capabilities. */
const withCapabilities = (capabilities: string) =>
  open(`${u8(octets(capabilities) + 2)} 02 ${u8(octets(capabilities))} ${capabilities}`);
const IPV4 = '01 04 0001 00 01';
const IPV6 = '01 04 0002 00 01';
const EVPN = '01 04 0019 00 46';
const MULTICAST = '01 04 0001 00 02';

const config: SessionConfig = {
  localAs: 64512,
  asNumber: 65001,
  identifier: '10.0.0.1',
  holdTimeSeconds: 90,
  isPassive: false,
  families: [4],
  restartTimeSeconds: 120,
};

function decode(text: string, hasEnhancedRefresh = false): Message[] {
  const messages: Message[] = [];
  new Framer().push(bytesOf(text), (frame) => {
    messages.push(decodeMessage(frame, { isFourOctetAs: true, isIbgp: false, hasEnhancedRefresh }));
    return true;
  });
  return messages;
}

/** Returns the outcome of an OPEN for a session with these settings: common families, or code/subcode and data. */
function answer(text: string, change: Partial<SessionConfig> = {}): string {
  try {
    const [first] = decode(text);
    if (first?.type !== 'open') return 'no message';
    return negotiate(first, { ...config, ...change })
      .families.map((family) => `IPv${family}`)
      .join('+');
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const { code, subcode, data } = error.notification;
    return `${code}/${subcode} ${hexOf(data)}`.trim();
  }
}

const customer = { role: 3 };
describe('an OPEN', () => {
  it.each<[string, string, string, string, Partial<SessionConfig>?]>([
    // Families: RFC 4760 section 8, RFC 5492 section 5.
    ['without the multiprotocol capability means IPv4', '4760 8', open('00'), 'IPv4'],
    ['that offers only EVPN has no family in common', '5492 5', withCapabilities(EVPN), '2/7 010400010001'],
    [
      'that offers only IPv4 multicast has no family in common',
      '5492 5',
      withCapabilities(MULTICAST),
      '2/7 010400010001',
    ],
    [
      'that offers an unknown family of AFI 65535 has no family in common',
      '5492 5',
      withCapabilities('01 04 ffff 00 ff'),
      '2/7 010400010001',
    ],
    ['that offers EVPN and IPv4 uses IPv4', '4760 8', withCapabilities(EVPN + IPV4), 'IPv4'],
    [
      'that offers IPv6 to an IPv4 session has no family in common',
      '5492 5',
      withCapabilities(IPV6),
      '2/7 010400010001',
    ],
    [
      'that offers EVPN to an IPv6 session has no family in common',
      '5492 5',
      withCapabilities(EVPN),
      '2/7 010400020001',
      { families: [6] },
    ],
    [
      'with a multiprotocol capability of three octets means IPv4',
      '5492 3',
      withCapabilities('01 03 0019 46'),
      'IPv4',
    ],
    // Roles: RFC 9234 section 4.2.
    ['with two equal roles is accepted', '9234 4.2', withCapabilities('09 01 00 09 01 00'), 'IPv4', customer],
    [
      'with two differing roles is refused',
      '9234 4.2',
      withCapabilities('09 01 00 09 01 04'),
      '2/11',
      customer,
    ],
    [
      'with two differing roles in two parameters is refused',
      '9234 4.2',
      open('0a 02 03 09 01 00 02 03 09 01 03'),
      '2/11',
      customer,
    ],
    [
      'with two differing roles is refused even by a speaker without a role',
      '9234 4.2',
      withCapabilities('09 01 00 09 01 04'),
      '2/11',
    ],
    [
      'with roles inside an AS is accepted',
      '9234 4',
      withCapabilities('09 01 00 09 01 04'),
      'IPv4',
      { asNumber: 65001, localAs: 65001, role: 3 },
    ],
    [
      'with a role that does not match ours is refused',
      '9234 4.2',
      withCapabilities('09 01 03'),
      '2/11',
      customer,
    ],
    ['with an unknown role is refused', '9234 4.2', withCapabilities('09 01 05'), '2/11', customer],
    ['without a role is accepted', '9234 4.2', open('00'), 'IPv4', customer],
    [
      'without a role is refused in strict mode',
      '9234 4.2',
      open('00'),
      '2/11',
      { ...customer, isRoleStrict: true },
    ],
    // Lengths: RFC 4271 sections 4.2 and 6.2.
    ['with octets after a parameter length of 0 is refused', '4271 6.2', open(`00 02 06 ${IPV4}`), '2/0'],
    ['with octets after its parameters is refused', '4271 6.2', open(`08 02 06 ${IPV4} 00`), '2/0'],
    ['with parameters that overrun its end is refused', '4271 6.2', open('06 02 04 01 04'), '2/0'],
    ['with a capability that overruns its parameter is refused', '4271 6.2', open('04 02 02 01 04'), '2/0'],
    ['with a parameter type but no length is refused', '4271 6.2', open('01 02'), '2/0'],
    ['with an authentication parameter is refused', '4271 6.2', open('04 01 02 0000'), '2/4'],
    // Extended parameters: RFC 9072 section 2.
    ['in the extended form is accepted', '9072 2', open(`ff ff 0009 02 0006 ${IPV4}`), 'IPv4'],
    [
      'in the extended form is accepted whatever the non-extended length',
      '9072 2',
      open(`0c ff 0009 02 0006 ${IPV4}`),
      'IPv4',
    ],
    [
      'in the extended form is accepted with a non-extended length of 1',
      '9072 2',
      open(`01 ff 0009 02 0006 ${IPV4}`),
      'IPv4',
    ],
    [
      'in the extended form after a length of 0 is refused',
      '9072 2',
      open(`00 ff 0009 02 0006 ${IPV4}`),
      '2/0',
    ],
    ['in the extended form without parameters is accepted', '9072 2', open('ff ff 0000'), 'IPv4'],
    [
      'in the extended form with octets after it is refused',
      '9072 2',
      open(`ff ff 0009 02 0006 ${IPV4} 00`),
      '2/0',
    ],
    ['in the extended form, cut short, is refused', '9072 2', open(`ff ff 0010 02 0006 ${IPV4}`), '2/0'],
    ['in the extended form without its length is refused', '9072 2', open('ff ff 00'), '2/0'],
    [
      'with 255 octets of ordinary parameters is accepted',
      '9072 2',
      open(`ff ${'02 06'.concat(IPV4).repeat(31)} 02 05 80 03 000000`),
      'IPv4',
    ],
    // AS numbers: RFC 6793 section 9, RFC 7607.
    [
      'with AS_TRANS and no 4-octet AS capability is refused',
      '6793 9',
      open('00', '5ba0'),
      '2/2',
      { asNumber: 23456 },
    ],
    [
      'with AS_TRANS in the capability is refused',
      '6793 9',
      open('08 02 06 41 04 00005ba0', '5ba0'),
      '2/2',
      { asNumber: 23456 },
    ],
    [
      'with AS_TRANS and a 4-octet AS in the capability is accepted',
      '6793 4.1',
      open('08 02 06 41 04 00030d40', '5ba0'),
      'IPv4',
      { asNumber: 200_000 },
    ],
    [
      'with AS 0 in the capability is refused',
      '7607 2',
      open('08 02 06 41 04 00000000'),
      '2/2',
      { asNumber: 0 },
    ],
  ])('%s (RFC %s)', (_, _clause, text, expected, change) => {
    expect(answer(text, change)).toBe(expected);
  });

  it('without a family in common is refused with the families that the peer offers', () => {
    const [first] = decode(withCapabilities(EVPN));
    expect(() => negotiate(first as Message & { type: 'open' }, config)).toThrow(
      'no common address family: the peer offers AFI 25 SAFI 70, this speaker IPv4',
    );
  });

  it('of ours carries a role only towards another AS (RFC 9234 section 4.1)', () => {
    const sent = (change: Partial<SessionConfig>) =>
      hexOf(
        encodeMessage(offeredOpen({ ...config, ...customer, ...change }, false), {
          isFourOctetAs: true,
          isIbgp: false,
        }),
      );
    expect(sent({})).toContain('090103');
    expect(sent({ asNumber: 64512 })).not.toContain('090103');
  });
});

describe('a ROUTE-REFRESH', () => {
  const refused = (text: string, hasEnhancedRefresh: boolean) => {
    try {
      return decode(text, hasEnhancedRefresh);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      const { code, subcode, data } = error.notification;
      return `${code}/${subcode} ${hexOf(data)}`;
    }
  };

  it.each(['0001 01 01 ff', '0001 02 01 ff', '0001 01', '0001 02'])(
    'with a wrong length that begins or ends a refresh, %s, is answered with the whole message (RFC 7313 section 5)',
    (body) => {
      const text = message(5, body);
      expect(refused(text, true)).toBe(`7/1 ${text.replace(/\s+/g, '')}`);
    },
  );

  it('without its last octet is a bad length, whatever was negotiated (RFC 4271 section 6.1)', () => {
    expect(refused(message(5, '0001 00'), true)).toBe('1/2 0016');
    expect(refused(message(5, '0001 01'), false)).toBe('1/2 0016');
    expect(refused(message(5, '0001'), true)).toBe('1/2 0015');
  });

  it('with an ORF is still a request (RFC 5291 section 4)', () => {
    const request = { type: 'route-refresh', family: 4, subtype: 0 };
    expect(refused(message(5, '0001 00 01'), true)).toEqual([request]);
    expect(refused(message(5, '0001 00 01 01 40 0000'), true)).toEqual([request]);
  });

  it('with an unknown subtype or family is not an error (RFC 7313 section 5)', () => {
    expect(refused(message(5, '0001 07 01'), true)).toMatchObject([{ family: 4, subtype: 7 }]);
    expect(refused(message(5, '0019 01 46'), true)).toMatchObject([{ family: undefined }]);
  });
});
