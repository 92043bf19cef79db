/**
 * Routing policy rules (struct fib_rule_hdr, linux/fib_rules.h), which Cali reads and never writes:
 *
 *     family u8 | destination length u8 | source length u8 | tos u8 | table u8 | padding | action u8 | flags u32
 */
import type { Family } from '../../../lib/cidr.ts';
import { readAttributes } from '../attributes.ts';
import { readU32 } from '../bytes.ts';
import { isMalformed, type Malformed } from '../message.ts';
import { FIB_RULE_INVERT, FR_ACT_TO_TBL, FRA } from './constants.ts';
import { familyOfNumber, prefixOf } from './fields.ts';

export interface Rule {
  readonly family: Family;
  readonly priority: number;
  /** The table to look in; undefined for another action, such as `unreachable`. */
  readonly table: number | undefined;
  /** FR_ACT_*. */
  readonly action: number;
  /** The rule applies to packets that do not match. */
  readonly isInverted: boolean;
  /** Canonical prefixes; undefined: all. */
  readonly source: string | undefined;
  readonly destination: string | undefined;
  readonly mark: number | undefined;
  readonly markMask: number | undefined;
  readonly inputDevice: string | undefined;
  readonly outputDevice: string | undefined;
}

const HEADER_LENGTH = 12;

/** Decodes the body of RTM_NEWRULE or RTM_DELRULE. Undefined for a family other than IPv4 and IPv6. */
export function decodeRule(body: Uint8Array): Rule | Malformed | undefined {
  const attributes = readAttributes(body, HEADER_LENGTH);
  if (isMalformed(attributes)) return attributes;
  const family = familyOfNumber(body[0]);
  if (family === undefined) return undefined;
  const action = body[7] ?? 0;
  const source = prefixOf(attributes, FRA.SRC, body[2] ?? 0, family);
  const destination = prefixOf(attributes, FRA.DST, body[1] ?? 0, family);
  // Without its prefix the rule would seem to apply to all packets.
  if ((attributes.has(FRA.SRC) && !source) || (attributes.has(FRA.DST) && !destination))
    return { malformed: 'prefix of a rule' };
  return {
    family,
    priority: attributes.u32(FRA.PRIORITY) ?? 0,
    table: action === FR_ACT_TO_TBL ? (attributes.u32(FRA.TABLE) ?? body[4]) : undefined,
    action,
    isInverted: (readU32(body, 8) & FIB_RULE_INVERT) !== 0,
    source,
    destination,
    mark: attributes.u32(FRA.FWMARK),
    markMask: attributes.u32(FRA.FWMASK),
    inputDevice: attributes.text(FRA.IIFNAME),
    outputDevice: attributes.text(FRA.OIFNAME),
  };
}
