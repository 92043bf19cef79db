import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MessageWriter } from '../../../../kernel/netlink/message-writer.ts';
import {
  type Connection,
  connectionDump,
  decodeConnection,
  deleteConnection,
} from '../../../../kernel/netlink/nfnetlink/connection.ts';
import { CT, CTA } from '../../../../kernel/netlink/nfnetlink/constants.ts';
import { type Tuple, tupleOf, writeTuple } from '../../../../kernel/netlink/nfnetlink/tuple.ts';
import type { WriteRequest } from '../../../../kernel/netlink/write-request.ts';
import { attributesAt, hex, onlyMessage } from '../../../helpers/netlink.ts';
import { connections } from './captured-connections.cases.ts';

const u16 = fc.nat(0xffff);
const u8 = fc.nat(0xff);

function tuples(address: fc.Arbitrary<string>): fc.Arbitrary<Tuple> {
  return fc.record(
    {
      source: address,
      destination: address,
      protocol: u8,
      ports: fc.record({ source: u16, destination: u16 }),
      icmp: fc.record({ id: u16, type: u8, code: u8 }),
      zone: u16,
    },
    { requiredKeys: ['source', 'destination', 'protocol'] },
  );
}

describe('connections', () => {
  it.each(connections)('%s is decoded.', (_, message, connection) => {
    expect(decodeConnection(onlyMessage(hex(message)))).toStrictEqual(connection);
  });

  it('Every tuple that was written is read again.', () => {
    const canonicalV6 = fc
      .tuple(fc.nat(0xffff), fc.nat(0xffff))
      .map(([a, b]) => `fd00:1:2:3:4:5:${(a | 1).toString(16)}:${(b | 1).toString(16)}`);
    fc.assert(
      fc.property(fc.oneof(tuples(fc.ipV4()), tuples(canonicalV6)), (tuple) => {
        const writer = new MessageWriter(16);
        writer.begin(CT.NEW, 0, 1);
        expect(writeTuple(writer, CTA.TUPLE_REPLY, tuple)).toBe(true);
        writer.end();
        const attributes = attributesAt(onlyMessage(writer.bytes()).body, 0);
        expect(tupleOf(attributes, CTA.TUPLE_REPLY, tuple.source.includes(':') ? 6 : 4)).toEqual(tuple);
      }),
    );
  });

  it.each([
    ['without tuples', '02000000'],
    ['whose tuple is cut off', '02000000 0c000180 14000180 08000100'],
  ])('A connection %s is malformed.', (_, body) => {
    const message = { type: CT.NEW, flags: 0, sequence: 0, portId: 0, body: hex(body) };
    expect(decodeConnection(message)).toHaveProperty('malformed');
  });

  it('Connections of other families and other messages are ignored.', () => {
    const message = { type: CT.NEW, flags: 0, sequence: 0, portId: 0, body: hex('07000000') };
    expect(decodeConnection(message)).toBeUndefined();
    expect(decodeConnection({ ...message, type: 24 })).toBeUndefined();
  });
});

describe('requests', () => {
  it('A dump asks for all connections of a family.', () => {
    expect(written(connectionDump(4))).toBe('0101010302000000');
  });

  it('The deletion of a connection has the tuple and number that its dump had.', () => {
    for (const [, dumped, connection] of connections) {
      const deleted = attributesAt(onlyMessage(hex(fullMessage(deleteConnection(connection)))).body, 4);
      const shown = attributesAt(onlyMessage(hex(dumped)).body, 4);
      for (const type of [CTA.TUPLE_ORIG, CTA.ID, CTA.ZONE])
        expect(deleted.bytes(type)).toEqual(shown.bytes(type));
    }
  });

  it('Without a valid tuple there is no request, because the kernel would delete all connections.', () => {
    const [, , connection] = connections[0]!;
    const broken: Connection = { ...connection, original: { ...connection.original, source: 'nowhere' } };
    for (const request of [
      deleteConnection(broken),
      deleteConnection({ ...connection, original: { ...connection.original, destination: 'fd00::1' } }),
    ]) {
      const writer = new MessageWriter(16);
      expect(request(writer, 1)).toMatchObject({ code: 'EINVAL' });
      expect(writer.length).toBe(0);
    }
  });
});

function fullMessage(request: WriteRequest): string {
  const writer = new MessageWriter(16);
  expect(request(writer, 5)).toBeUndefined();
  return Buffer.from(writer.bytes()).toString('hex');
}

/** Returns type, flags and body of the message. */
function written(request: WriteRequest): string {
  const text = fullMessage(request);
  return text.slice(8, 16) + text.slice(32);
}
