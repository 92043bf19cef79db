/** MAC addresses as canonical text: `0a:1b:2c:3d:4e:5f`. */

const patterns = [
  /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/i,
  /^(?:[0-9a-f]{2}-){5}[0-9a-f]{2}$/i,
  /^(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}$/i,
];

/**
 * Canonical text of a unicast MAC address of six octets, from any of the three usual spellings. Undefined for other
 * text, and for multicast, broadcast and all-zero addresses, which no interface can have.
 */
export function parseMac(text: string): string | undefined {
  if (text.length > 17 || !patterns.some((pattern) => pattern.test(text))) return undefined;
  const digits = text.replace(/[:.-]/g, '').toLowerCase();
  const isMulticast = (Number.parseInt(digits.slice(0, 2), 16) & 1) === 1;
  if (isMulticast || digits === '000000000000') return undefined;
  return digits.match(/../g)!.join(':');
}
