import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAcknowledgement } from '../../../../kernel/netlink/acknowledgement.ts';
import { readAttributes } from '../../../../kernel/netlink/attributes.ts';
import { NLM_F_ACK_TLVS, NLMSG_DONE, NLMSG_ERROR } from '../../../../kernel/netlink/constants.ts';
import { errnoName, errnoText } from '../../../../kernel/netlink/errno.ts';
import { isMalformed, readMessages } from '../../../../kernel/netlink/message.ts';
import { MessageWriter } from '../../../../kernel/netlink/message-writer.ts';
import { hex, must } from '../../../helpers/netlink.ts';

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const attribute = fc.record({
  type: fc.integer({ min: 0, max: 0x3fff }),
  value: fc.uint8Array({ maxLength: 40 }),
});
const message = fc.record({
  type: u16,
  flags: u16,
  sequence: u32,
  attributes: fc.array(attribute, { maxLength: 8 }),
});

describe('messages', () => {
  it('Every message and attribute that was written is read again, in order and with the same bytes.', () => {
    const writer = new MessageWriter(16);
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), (expected) => {
        writer.reset();
        for (const { type, flags, sequence, attributes } of expected) {
          writer.begin(type, flags, sequence);
          for (const one of attributes) writer.attribute(one.type, one.value);
          expect(writer.end()).toBe(true);
        }
        const read = must(readMessages(writer.bytes())).map(({ type, flags, sequence, portId, body }) => {
          expect(portId).toBe(0);
          const attributes = must(readAttributes(body, 0)).list();
          return {
            type,
            flags,
            sequence,
            attributes: attributes.map(({ type, value }) => ({ type, value: Uint8Array.from(value) })),
          };
        });
        expect(read).toEqual(expected);
      }),
    );
  });

  it('Arbitrary bytes are messages or malformed; reading them never throws.', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const messages = readMessages(bytes);
        if (isMalformed(messages)) return;
        for (const one of messages) {
          readAttributes(one.body, 0);
          decodeAcknowledgement(one);
        }
      }),
    );
  });

  it.each([
    ['10000000 0300', /too few/],
    ['0f000000 03000000 00000000 00000000', /length 15/],
    ['11000000 03000000 00000000 00000000', /length 17/],
    ['ffffffff 03000000 00000000 00000000', /length 4294967295/],
  ])('The datagram %s is malformed, because its length is wrong.', (text, reason) => {
    expect(readMessages(hex(text))).toEqual({ malformed: expect.stringMatching(reason) });
  });

  it('A message with an attribute of more than 65,535 bytes is dropped, and the others stay.', () => {
    const writer = new MessageWriter(16);
    writer.begin(1, 0, 1);
    writer.end();
    writer.begin(2, 0, 2);
    writer.attribute(1, new Uint8Array(0xffff));
    expect(writer.end()).toBe(false);
    writer.begin(3, 0, 3);
    writer.attribute(1, new Uint8Array(0xffff - 4));
    expect(writer.end()).toBe(true);
    expect(must(readMessages(writer.bytes())).map(({ sequence }) => sequence)).toEqual([1, 3]);
  });
});

describe('attributes', () => {
  it('Of an attribute that occurs twice, the first counts; a value that is too short is absent.', () => {
    const attributes = must(readAttributes(hex('05000100 07000000 08000100 08000000 06000200 09000000'), 0));
    expect(attributes.u8(1)).toBe(7);
    expect(attributes.u32(1)).toBeUndefined();
    expect(attributes.u16(2)).toBe(9);
    expect(attributes.u32(2)).toBeUndefined();
    expect(attributes.u8(3)).toBeUndefined();
    expect(attributes.list()).toHaveLength(3);
  });

  it.each(['0300 0100', '0900 0100 00000000', '0400', '0800 0100 00000000 0400'])(
    'The attributes %s are malformed, because a length is wrong.',
    (text) => {
      expect(readAttributes(hex(text), 0)).toHaveProperty('malformed');
    },
  );

  it('Attributes are malformed if the fixed part before them is incomplete.', () => {
    expect(readAttributes(new Uint8Array(8), 12)).toHaveProperty('malformed');
    expect(must(readAttributes(new Uint8Array(12), 12)).list()).toEqual([]);
  });
});

describe('acknowledgements', () => {
  it('The extended acknowledgement of the kernel gives number, text and offset.', () => {
    // Answer to RTM_NEWROUTE with an unknown device: -ENODEV, the header of the request, "Invalid prefix".
    const writer = new MessageWriter();
    writer.begin(NLMSG_ERROR, NLM_F_ACK_TLVS, 5);
    writer.u32(-22).append(hex('14000000 18000500 05000000 00000000 02000000'));
    writer.attributeText(1, 'Invalid prefix for given prefix length');
    writer.attributeU32(2, 28);
    writer.end();
    const [answer] = must(readMessages(writer.bytes()));
    expect(answer && decodeAcknowledgement(answer)).toEqual({
      errno: 22,
      message: 'Invalid prefix for given prefix length',
      offset: 28,
    });
  });

  it('Number 0 is success, and a dump ends with or without a number.', () => {
    const header = { flags: 0, sequence: 1, portId: 1 };
    expect(decodeAcknowledgement({ ...header, type: NLMSG_ERROR, body: new Uint8Array(20) })).toEqual({
      errno: 0,
    });
    expect(decodeAcknowledgement({ ...header, type: NLMSG_DONE, body: new Uint8Array(0) })).toEqual({
      errno: 0,
    });
    expect(decodeAcknowledgement({ ...header, type: NLMSG_DONE, body: hex('fcffffff') })).toEqual({
      errno: 4,
    });
  });

  it('An acknowledgement that is too short, or has a positive number, is malformed.', () => {
    const header = { flags: 0, sequence: 1, portId: 1, type: NLMSG_ERROR };
    expect(decodeAcknowledgement({ ...header, body: new Uint8Array(19) })).toHaveProperty('malformed');
    expect(
      decodeAcknowledgement({ ...header, body: hex('01000000 00000000 00000000 00000000 00000000') }),
    ).toHaveProperty('malformed');
  });

  it('Error numbers have the names and texts that iproute2 users know.', () => {
    expect([errnoName(17), errnoText(17)]).toEqual(['EEXIST', 'File exists']);
    expect([errnoName(105), errnoText(105)]).toEqual(['ENOBUFS', 'No buffer space available']);
    expect([errnoName(4095), errnoText(4095)]).toEqual(['ERRNO_4095', 'Unknown error 4095']);
  });
});
