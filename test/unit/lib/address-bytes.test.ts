import fc from 'fast-check';
import { expect, it } from 'vitest';
import { writeAddress } from '../../../lib/address-bytes.ts';
import { addressBytes, parseAddress } from '../../../lib/cidr.ts';

const random = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.string({ unit: fc.constantFrom('0', '1', '9', '2', '5', '.'), maxLength: 16 }),
  fc.string({ unit: fc.constantFrom('0', '1', 'f', 'A', 'g', ':', ':', '::', '1.2.3.4'), maxLength: 20 }),
);

it('The bytes of an address are those that cidr.ts finds, and both refuse the same texts.', () => {
  const examples = ['', ':', '::', ':::', '1::', '::1', '1:', ':1', '1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:8::'];
  fc.assert(fc.property(random, expectSame), {
    numRuns: 1_000,
    examples: [...examples, '01.2.3.4', '1.2.3.256', '::ffff:1.2.3.4', '1.2.3.4::'].map((text) => [text]),
  });
});

it('Only the text before the given end counts, and only the bytes of the address are written.', () => {
  const into = new Uint8Array(20).fill(7);
  expect(writeAddress('10.0.0.1/26', 8, into, 2)).toBe(4);
  expect([...into.subarray(0, 8)]).toEqual([7, 7, 10, 0, 0, 1, 7, 7]);
  expect(writeAddress('fd00::1/64', 7, into, 3)).toBe(16);
  expect([...into]).toEqual([7, 7, 10, 0xfd, ...Array<number>(14).fill(0), 1, 7]);
});

function expectSame(text: string): void {
  const into = new Uint8Array(16).fill(0xaa);
  const length = writeAddress(text, text.length, into, 0);
  const address = parseAddress(text);
  expect([...into.subarray(0, length)]).toEqual(address ? [...addressBytes(address)] : []);
}
