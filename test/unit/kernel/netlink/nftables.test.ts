import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isMalformed, type Message, readMessages } from '../../../../kernel/netlink/message.ts';
import { MessageWriter } from '../../../../kernel/netlink/message-writer.ts';
import {
  readGeneration,
  readSet,
  writeGenerationRequest,
  writeSetsRequest,
} from '../../../../kernel/netlink/nftables.ts';

const NEWSET = 0x0a09;
const NEWGEN = 0x0a0f;

const message = (type: number, body: Uint8Array): Message => ({
  type,
  flags: 0,
  sequence: 1,
  portId: 0,
  body,
});

/** The body of a set of table `inet cali` with these user data, in hexadecimal. */
function set(userdata: string): Uint8Array {
  const writer = new MessageWriter();
  writer.begin(NEWSET, 0, 1);
  writer.u8(1).u8(0).u16Be(0);
  writer.attributeText(1, 'cali');
  writer.attributeText(2, 's');
  writer.attribute(13, Buffer.from(userdata, 'hex'));
  writer.end();
  return writer.bytes().slice(16);
}

const isReadable = (userdata: string) => {
  const read = readSet(message(NEWSET, set(userdata)));
  return read && !isMalformed(read) && read.isReadable;
};

describe('nf_tables messages', () => {
  it('The requests are the ones that nft sends.', () => {
    const writer = new MessageWriter();
    writeGenerationRequest(writer, 1);
    writeSetsRequest(writer, 2);
    const messages = readMessages(writer.bytes());
    expect(messages).toMatchObject([
      { type: 0x0a10, flags: 1, sequence: 1, body: Uint8Array.of(0, 0, 0, 0) },
      { type: 0x0a0a, flags: 0x301, sequence: 2, body: Uint8Array.of(0, 0, 0, 0) },
    ]);
  });

  it('The generation is read in network byte order, and from no other message.', () => {
    const body = Uint8Array.of(0, 0, 0, 0, 8, 0, 1, 0, 0, 0, 1, 2);
    expect(readGeneration(message(NEWGEN, body))).toBe(258);
    expect(readGeneration(message(NEWSET, body))).toBe(undefined);
    expect(readGeneration(message(NEWGEN, body.subarray(0, 4)))).toBe(undefined);
  });

  it('A set has its table, with the family, and its name.', () => {
    expect(readSet(message(NEWSET, set('')))).toEqual({ table: 'inet cali', name: 's', isReadable: true });
    expect(readSet(message(NEWGEN, set('')))).toBe(undefined);
  });

  // Captured from sets that nftables 1.0.6 made.
  it.each([
    ['type ipv4_addr, with auto-merge', '0004020000000204010000'.concat('00')],
    ['type ipv4_addr . inet_service', '000400000000030800040d0000000100'],
    ['typeof ip saddr', '0004020000000314000407000000010c00040c00000001040b000000'],
    [
      'typeof ip saddr . tcp dport',
      '00040000000003340004'.concat(
        '0d000000012c0014000407000000010c00040c00000001040b0000000114000407000000010c000408000000010402000000',
      ),
    ],
    ['a map to meta mark', '000402000000010401000000040e0004090000000106000403000000'],
  ])('%s of nftables 1.0.6 is readable.', (_, userdata) => {
    expect(isReadable(userdata)).toBe(true);
  });

  it.each([
    ['the type of a value, as nftables 1.1.2 writes it', '000402000000030800040400000001'.concat('00')],
    ['a value within a concatenation', '03120004'.concat('0d000000', '010a', '0008', '000404000000', '0100')],
    [
      'a concatenation within a concatenation',
      '03120004'.concat('0d000000', '010a', '0008', '00040d000000', '0100'),
    ],
    ['an unknown expression', '030800046300000001'.concat('00')],
    ['no expression', '03020100'],
    ['user data that end early', '0304'],
  ])('%s is not readable.', (_, userdata) => {
    expect(isReadable(userdata)).toBe(false);
  });

  it('Any bytes are a set, a fault or nothing, and never an exception.', () => {
    fc.assert(
      fc.property(fc.constantFrom(NEWSET, NEWGEN), fc.uint8Array({ maxLength: 80 }), (type, body) => {
        readSet(message(type, body));
        readGeneration(message(type, body));
        readSet(message(NEWSET, set(Buffer.from(body).toString('hex'))));
      }),
    );
  });
});
