import { describe, expect, it } from 'vitest';
import { noCapabilities } from '../../../../bgp/wire/capabilities.ts';
import { type Frame, Framer } from '../../../../bgp/wire/framer.ts';
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type OutgoingMessage,
} from '../../../../bgp/wire/message.ts';
import { describeNotification } from '../../../../bgp/wire/notification.ts';
import { decodeUpdate, endOfRibFamily } from '../../../../bgp/wire/update.ts';
import { WireError } from '../../../../bgp/wire/wire-error.ts';

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
const MARKER = 'ff'.repeat(16);
const context = { isFourOctetAs: true, isIbgp: true };

function frames(bytes: Uint8Array, extended = false) {
  const framer = new Framer();
  if (extended) framer.allowExtended();
  const cut: Frame[] = [];
  framer.push(bytes, (frame) => cut.push(frame) > 0);
  return cut;
}

function decodeAll(bytes: Uint8Array, c = context): Message[] {
  return frames(bytes, true).map((frame) => decodeMessage(frame, c));
}

// Written by hand from the RFCs' diagrams, not by our encoder.
describe('the codec of BGP messages', () => {
  it('encodes KEEPALIVE as a bare header (RFC 4271 section 4.4)', () => {
    const bytes = hex(`${MARKER} 0013 04`);
    expect(encodeMessage({ type: 'keepalive' }, context)).toEqual(bytes);
    expect(decodeAll(bytes)).toEqual([{ type: 'keepalive' }]);
  });

  it('encodes and decodes OPEN with the capabilities of a Calico node', () => {
    const capabilities = [
      '01 04 0001 00 01', // IPv4 unicast
      '02 00', // route refresh
      '06 00', // extended messages
      '40 06 8078 0001 01 80', // graceful restart: R, 120 s, IPv4 unicast, F
      '41 04 0000fc00', // AS 64512
    ].join('');
    const body = `04 fc00 005a ac12000b 1a 02 18 ${capabilities}`;
    const message: OutgoingMessage & { type: 'open' } = {
      type: 'open',
      asNumber: 64512,
      holdTimeSeconds: 90,
      identifier: '172.18.0.11',
      capabilities: {
        ...noCapabilities,
        families: [4],
        hasRouteRefresh: true,
        hasExtendedMessages: true,
        fourOctetAs: 64512,
        gracefulRestart: {
          isRestarting: true,
          hasNotification: false,
          restartTimeSeconds: 120,
          families: [{ family: 4, isForwardingKept: true }],
        },
        unknown: [],
      },
    };
    const bytes = hex(`${MARKER} 0037 01 ${body}`);
    expect(Buffer.from(encodeMessage(message, context)).toString('hex')).toBe(
      Buffer.from(bytes).toString('hex'),
    );
    expect(decodeAll(bytes)).toEqual([message]);
  });

  it('decodes and encodes UPDATE with a withdrawal and an announcement', () => {
    const attributes =
      '40 01 01 00  40 02 06 02 01 0000fde8  40 03 04 0a000001  40 05 04 00000064  c0 08 04 fc000001';
    const body = `0003 10 0a64  0022 ${attributes} 1a 0af40040`;
    const [message] = decodeAll(hex(`${MARKER} 0041 02 ${body}`));
    expect(message).toEqual({
      type: 'update',
      withdrawn: [{ prefix: '10.100.0.0/16' }],
      nlri: [{ prefix: '10.244.0.64/26' }],
      reach: undefined,
      unreach: undefined,
      attributes: {
        origin: 0,
        asPath: [{ type: 2, asNumbers: [65000] }],
        nextHop: '10.0.0.1',
        localPref: 100,
        communities: [0xfc000001],
      },
      faults: [],
    });
    expect(Buffer.from(encodeMessage(message as OutgoingMessage, context)).toString('hex')).toBe(
      hex(`${MARKER} 0041 02 ${body}`).reduce((text, byte) => text + byte.toString(16).padStart(2, '0'), ''),
    );
  });

  it('decodes IPv6 in MP_REACH_NLRI, with the global next hop of two (RFC 2545)', () => {
    const reach =
      '0002 01 20 fd000000000000000000000000000001 fe800000000000000000000000000001 00 7a fd010000000000000000000000000040';
    const attributes = `90 0e 0036 ${reach} 40 01 01 00 40 02 00 40 05 04 00000064`;
    const [message] = decodeAll(hex(`${MARKER} 005f 02 0000 0048 ${attributes}`));
    expect(message).toMatchObject({
      reach: { family: 6, nextHop: 'fd00::1', linkLocal: 'fe80::1', routes: [{ prefix: 'fd01::40/122' }] },
      attributes: { nextHop: 'fd00::1', localPref: 100 },
      faults: [],
    });
  });

  it('uses the link-local next hop when the global one is empty, as BIRD sends it', () => {
    const reach = `0002 01 20 ${'00'.repeat(16)} fe800000000000000000000000000001 00 7a fd010000000000000000000000000040`;
    const attributes = `90 0e 0036 ${reach} 40 01 01 00 40 02 00 40 05 04 00000064`;
    const [message] = decodeAll(hex(`${MARKER} 005f 02 0000 0048 ${attributes}`));
    expect(message).toMatchObject({ attributes: { nextHop: 'fe80::1' } });
  });

  it('recognises End-of-RIB of both families (RFC 4724)', () => {
    const body = (text: string) => frames(hex(text))[0]!.body;
    expect(endOfRibFamily(body(`${MARKER} 0017 02 0000 0000`))).toBe(4);
    expect(endOfRibFamily(body(`${MARKER} 001d 02 0000 0006 80 0f 03 0002 01`))).toBe(6);
    expect(endOfRibFamily(body(`${MARKER} 001e 02 0000 0007 90 0f 0003 0002 01`))).toBe(6);
    expect(endOfRibFamily(body(`${MARKER} 0019 02 0002 080a 0000`))).toBeUndefined();
  });

  it('replaces AS_TRANS of a 2-octet speaker from AS4_PATH (RFC 6793 section 4.2.3)', () => {
    const attributes =
      '40 01 01 00  40 02 08 02 03 fde8 5ba0 5ba0  40 03 04 0a000001  c0 11 0a 02 02 00010000 00020000';
    const update = decodeUpdate(hex(`0000 0023 ${attributes} 08 0a`), {
      isFourOctetAs: false,
      isIbgp: false,
    });
    expect(update.attributes?.asPath).toEqual([{ type: 2, asNumbers: [65000, 65536, 131072] }]);
  });

  it('describes NOTIFICATION in words, with the operator’s message (RFC 9003)', () => {
    const [message] = decodeAll(hex(`${MARKER} 001a 03 06 02 04 6e6f6f6e`));
    expect(message?.type === 'notification' && describeNotification(message)).toBe(
      'Cease/Administrative Shutdown: noon',
    );
    expect(describeNotification({ code: 2, subcode: 2, data: new Uint8Array() })).toBe(
      'Open Message/Bad Peer AS',
    );
  });
});

it.each([
  [1, 'Cease/Max Prefixes'],
  [3, 'Cease/Peer Deconfigured'],
  [7, 'Cease/Connection Collision'],
  [8, 'Cease/Out Of Resources'],
  [9, 'Cease/Hard Reset'],
  [10, 'Cease/BFD Down'],
])('Cease %i is described as %s (RFC 4486, RFC 8538, RFC 9384)', (subcode, words) => {
  expect(describeNotification({ code: 6, subcode, data: new Uint8Array() })).toBe(words);
});

describe('wire faults', () => {
  const base = '40 01 01 00  40 02 00  40 03 04 0a000001  40 05 04 00000064';
  const withAttributes = (attributes: string) => {
    const bytes = hex(attributes);
    const length = bytes.length.toString(16).padStart(4, '0');
    return decodeUpdate(hex(`0000 ${length} ${attributes} 08 0a`), context);
  };

  it.each<[string, string, RegExp]>([
    ['ORIGIN 3', base.replace('40 01 01 00', '40 01 01 03'), /ORIGIN 3/],
    ['ORIGIN of two octets', base.replace('40 01 01 00', '40 01 02 0000'), /attribute 1 of 2 octets/],
    ['ORIGIN with optional flag', base.replace('40 01 01 00', 'c0 01 01 00'), /flags 0xc0/],
    ['an empty AS_PATH segment', base.replace('40 02 00', '40 02 02 02 00'), /segment without AS numbers/],
    [
      'an AS_PATH segment that overruns its attribute',
      base.replace('40 02 00', '40 02 06 02 02 0000fde8'),
      /AS_PATH: 4 bytes wanted, 0 left/,
    ],
    [
      'NEXT_HOP of three octets',
      base.replace('40 03 04 0a000001', '40 03 03 0a0000'),
      /attribute 3 of 3 octets/,
    ],
    ['no NEXT_HOP', base.replace('40 03 04 0a000001', ''), /NEXT_HOP is missing/],
    ['no LOCAL_PREF on iBGP', base.replace('40 05 04 00000064', ''), /LOCAL_PREF is missing/],
    ['communities of five octets', `${base} c0 08 05 0000000000`, /attribute 8 of 5 octets/],
    ['an attribute that overruns the attributes', `${base} c0 08 50 00`, /ends inside an attribute/],
  ])('%s withdraws the routes and keeps the session (RFC 7606)', (_, attributes, reason) => {
    const update = withAttributes(attributes);
    expect(update.attributes).toBeUndefined();
    expect(update.nlri).toEqual([{ prefix: '10.0.0.0/8' }]);
    expect(update.faults.some((fault) => fault.verdict === 'withdraw' && reason.test(fault.reason))).toBe(
      true,
    );
  });

  it.each<[string, string]>([
    ['a second ORIGIN', `${base} 40 01 01 02`],
    ['AGGREGATOR of five octets', `${base} c0 07 05 0000000000`],
    ['ATOMIC_AGGREGATE with a value', `${base} 40 06 01 00`],
  ])('%s discards only the attribute', (_, attributes) => {
    const update = withAttributes(attributes);
    expect(update.attributes).toMatchObject({ origin: 0, localPref: 100 });
    expect(update.faults.map(({ verdict }) => verdict)).toEqual(['discard']);
  });

  it.each<[string, string, number, number]>([
    ['a marker with a zero octet', `00${'ff'.repeat(15)} 0013 04`, 1, 1],
    ['a length of 18', `${MARKER} 0012 04`, 1, 2],
    ['a KEEPALIVE with a body', `${MARKER} 0014 04 00`, 1, 2],
    ['an UPDATE of 4,097 octets', `${MARKER} 1001 02 ${'00'.repeat(4078)}`, 1, 2],
    ['type 9', `${MARKER} 0013 09`, 1, 3],
    ['BGP version 3', `${MARKER} 001d 01 03 fc00 005a 0a000001 00`, 2, 1],
    ['AS 0', `${MARKER} 001d 01 04 0000 005a 0a000001 00`, 2, 2],
    ['identifier 0.0.0.0', `${MARKER} 001d 01 04 fc00 005a 00000000 00`, 2, 3],
    ['a hold time of 2 s', `${MARKER} 001d 01 04 fc00 0002 0a000001 00`, 2, 6],
    ['optional parameter 9', `${MARKER} 001f 01 04 fc00 005a 0a000001 02 09 00`, 2, 4],
    ['attribute lengths beyond the message', `${MARKER} 0017 02 0000 0009`, 3, 1],
    ['a prefix of 33 bits', `${MARKER} 001c 02 0000 0000 21 0a000000`, 3, 10],
    ['an unknown well-known attribute', `${MARKER} 001a 02 0000 0003 40 63 00`, 3, 2],
    ['MP_REACH_NLRI cut short', `${MARKER} 001c 02 0000 0005 80 0e 02 0002`, 3, 9],
  ])('%s is answered with its NOTIFICATION', (_, bytes, code, subcode) => {
    let caught: unknown;
    try {
      for (const frame of frames(hex(bytes))) decodeMessage(frame, context);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(WireError);
    expect((caught as WireError).notification).toMatchObject({ code, subcode });
  });
});
