/** Field types that several kinds share, with Calico's rules (libcalico-go validator). */
import { z } from 'zod';
import {
  type Cidr,
  familyOf,
  formatAddress,
  formatCidr,
  networkOf,
  parseAddress,
  parseCidr,
} from '../../lib/cidr.ts';
import { parseDuration } from '../../lib/duration.ts';
import { printable } from '../../lib/plain-text.ts';
import { parseSelector } from '../../lib/selector.ts';
import { addressOrNetworkRule, addressRule, type CelRule, networkRule, served } from './cel-rules.ts';

/** 4-octet AS number: a number, or the dotted form `high.low`; the output is a number. RFC 6793. */
export const asNumber = z
  .union([z.number().int(), z.string()])
  .meta({ 'x-kubernetes-int-or-string': true })
  .transform((value, context) => {
    const parsed = parseAsNumber(value);
    if (parsed === undefined) {
      context.addIssue({
        code: 'custom',
        message: 'must be an AS number: 1 to 4294967295, or two numbers below 65536 joined by a dot',
      });
      return z.NEVER;
    }
    return parsed;
  });

/** Parses an AS number in either notation; undefined when out of range. 0 is reserved (RFC 7607). */
export function parseAsNumber(value: number | string): number | undefined {
  const dotted = /^(\d{1,5})\.(\d{1,5})$/.exec(String(value));
  if (dotted) {
    const [high, low] = [Number(dotted[1]), Number(dotted[2])];
    return high < 65536 && low < 65536 && high + low > 0 ? high * 65536 + low : undefined;
  }
  const number = /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  return number >= 1 && number <= 4294967295 ? number : undefined;
}

const IPV4 = '[0-9]{1,3}(\\.[0-9]{1,3}){3}';
const IPV6 = '[0-9a-fA-F:.]*:[0-9a-fA-F:.]*';
const LENGTH_V4 = '/(3[0-2]|[12]?[0-9])';
const LENGTH_V6 = '/(12[0-8]|1[01][0-9]|[1-9]?[0-9])';

/** With these patterns, API servers without our CEL rules also refuse most invalid text. */
const networkPattern = new RegExp(`^(${IPV4}${LENGTH_V4}|${IPV6}${LENGTH_V6})$`);
const addressOrNetworkPattern = new RegExp(`^(${IPV4}(${LENGTH_V4})?|${IPV6}(${LENGTH_V6})?)$`);

const LENGTHS = 'a prefix length of 0 to 32 (IPv4) or 0 to 128 (IPv6)';
const notNetwork = (text: unknown) =>
  `"${printable(String(text), 50)}" is not a network in CIDR notation: write an address, a slash and ${LENGTHS}, such as 10.244.0.0/16`;
const neither = (text: unknown) =>
  `"${printable(String(text), 50)}" is neither an address nor a network: write 10.0.0.7, or 10.0.0.0/24 with ${LENGTHS}`;

/** A prefix in CIDR notation; the output is canonical text, with its host bits. */
export const cidr = cidrField(networkRule, networkPattern, notNetwork, formatCidr);

/** A prefix in CIDR notation; the output is the canonical text of the network. */
export const network = cidrField(networkRule, networkPattern, notNetwork, (parsed) =>
  formatCidr(networkOf(parsed)),
);

/** An address or a prefix in CIDR notation; the output is the canonical text of either. */
export const addressOrNetwork = cidrField(
  addressOrNetworkRule,
  addressOrNetworkPattern,
  neither,
  (parsed, text) => (text.includes('/') ? formatCidr(networkOf(parsed)) : formatAddress(parsed)),
);

/** An address or a prefix in CIDR notation; the output is always a network, a host prefix for an address. */
export const hostOrNetwork = cidrField(addressOrNetworkRule, addressOrNetworkPattern, neither, (parsed) =>
  formatCidr(networkOf(parsed)),
);

function cidrField(
  rule: CelRule,
  pattern: RegExp,
  sentence: (text: unknown) => string,
  format: (parsed: Cidr, text: string) => string,
) {
  return z
    .string()
    .max(48)
    .regex(pattern, { error: ({ input }) => sentence(input), abort: true })
    .meta(served(rule))
    .transform((text, context) => {
      const parsed = parseCidr(text);
      if (parsed) return format(parsed, text);
      context.addIssue({ code: 'custom', message: sentence(text) });
      return z.NEVER;
    });
}

/** A selector over labels. */
export const selector = z
  .string()
  .max(1024)
  .superRefine((text, context) => {
    const result = parseSelector(text);
    if (!result.ok) context.addIssue({ code: 'custom', message: `is not a selector: ${result.reason}` });
  });

const durationPattern = /^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/;
/** A Go duration such as `90s` or `1m30s`. */
export const duration = z
  .string()
  .regex(durationPattern, 'must be a duration such as 90s or 2m30s')
  .refine(
    (text) => !durationPattern.test(text) || parseDuration(text) !== undefined,
    'must be shorter than 292 years',
  );

/** A duration with limits, milliseconds. `range` describes them. */
export function durationBetween(leastMs: number, mostMs: number, range: string) {
  return duration.refine((text) => {
    const ms = parseDuration(text);
    return ms === undefined || (ms >= leastMs && ms <= mostMs);
  }, `must be ${range}`);
}

/** Returns a pattern that matches the word in any case. It lists both cases, because CRD patterns have no flags. */
export function anyCase(name: string): string {
  return [...name].map((letter) => `[${letter.toUpperCase()}${letter.toLowerCase()}]`).join('');
}

const severities = ['Trace', 'Debug', 'Info', 'Warning', 'Error', 'Fatal'].map(anyCase);
/** Calico's severities in any case; empty counts as absent. */
export const logSeverity = z
  .string()
  .regex(new RegExp(`^(${severities.join('|')})?$`), 'must be Trace, Debug, Info, Warning, Error or Fatal')
  .transform((text) => (text === '' ? undefined : text));

/** Name of a network interface. */
export const interfaceName = z
  .string()
  .regex(
    /^[a-zA-Z0-9_.-]{1,15}$/,
    'must be the name of an interface: at most 15 letters, digits, ".", "_", "-"',
  );

/** An address; the output is canonical text. */
export const ipAddress = z
  .string()
  .max(48)
  .meta(served(addressRule))
  .transform((text, context) => {
    const parsed = parseAddress(text);
    if (parsed) return formatAddress(parsed);
    context.addIssue({ code: 'custom', message: 'must be an IP address' });
    return z.NEVER;
  });

/** An address of one family; the output is canonical text. */
export function ipAddressOf(family: 4 | 6) {
  return ipAddress.refine((text) => familyOf(text) === family, `must be an IPv${family} address`);
}

/** Reference to a key of a Secret. */
export const secretKeyRef = z.strictObject({
  secretKeyRef: z
    .strictObject({
      name: z.string().min(1).describe("Name of the Secret, in Cali's namespace."),
      key: z.string().min(1).describe('Key of the Secret whose value is the password.'),
      optional: z.boolean().optional().describe('Accepted as in Calico, without effect.'),
    })
    .describe('A key of a Secret. Agents may read the Secret bgp-secrets and those that their Role lists.'),
});

/** A BGP identifier or cluster ID: an IPv4 address other than 0.0.0.0 (RFC 6286 section 2.1, RFC 4456 section 7). */
export const bgpIdentifier = ipAddress.refine(
  (text) => !text.includes(':') && text !== '0.0.0.0',
  'must be an IPv4 address other than 0.0.0.0',
);
