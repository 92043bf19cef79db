/** Text of any characters, also control characters and halves of surrogate pairs. */
import fc from 'fast-check';

/** As fast-check's unit `binary`, which first takes a second to list all characters. */
const character = fc
  .oneof(fc.nat(0x7f), fc.nat(0xffff), fc.nat(0x10ffff))
  .map((code) => String.fromCodePoint(code));

/** Generates text of at most `maxLength` characters. */
export function anyText(maxLength?: number): fc.Arbitrary<string> {
  return fc.string({ unit: character, ...(maxLength === undefined ? {} : { maxLength }) });
}
