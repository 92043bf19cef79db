/** Fields that BGPConfiguration and BGPPeer share. */
import { z } from 'zod';
import { formatAddress, parseAddress } from '../../lib/cidr.ts';
import { parseDuration } from '../../lib/duration.ts';
import { durationBetween } from './fields.ts';
import type { WithoutEffect } from './without-effect.ts';

const HOUR_MS = 3_600_000;

const bfdInterval = durationBetween(10, HOUR_MS, 'between 10ms and 1h');
/** Limits the attempts to a peer that refuses each of them. */
export const connectRetryTime = durationBetween(1000, Number.POSITIVE_INFINITY, 'at least 1s');

/** Cali only. RFC 5880: intervals are durations of at least 10ms; a neighbour is down after `multiplier` of them. */
export const bfd = z
  .strictObject({
    receiveInterval: bfdInterval
      .optional()
      .describe('Shortest interval at which this node accepts control packets; 300ms unless set.'),
    transmitInterval: bfdInterval
      .optional()
      .describe('Interval at which this node sends control packets; 300ms unless set.'),
    multiplier: z
      .number()
      .int()
      .min(1)
      .max(255)
      .optional()
      .describe('The neighbour is down after this many missed packets; 3 unless set.'),
  })
  .optional()
  .describe('Detects a dead neighbour within a second (BFD, RFC 5880); off unless set. Not in Calico.');

/** A Secret reference that is marked optional. */
export const SECRET_IS_NEEDED: WithoutEffect = {
  reason: 'a session with a password waits for its Secret',
  neutral: [false],
};

/** Parses a BGPPeer's peerIP to a canonical address and a port, which is undefined when not given. */
export function parsePeerIP(text: string): { address: string; port: number | undefined } | undefined {
  const match = /^\[([^\]]+)\]:(\d{1,5})$/.exec(text) ?? /^([\d.]+):(\d{1,5})$/.exec(text);
  const address = match?.[1] ?? text;
  const port = match ? Number(match[2]) : undefined;
  const [plain = '', zone, ...more] = address.split('%');
  if (more.length > 0) return undefined;
  // Calico accepts no zone, but an unnumbered peer needs one.
  if (zone !== undefined && (!/^fe[89ab]/i.test(plain) || !/^[\w.-]{1,15}$/.test(zone))) return undefined;
  const parsed = parseAddress(plain);
  if (!parsed || (port !== undefined && (port < 1 || port > 65535))) return undefined;
  const canonical = formatAddress(parsed);
  return { address: zone === undefined ? canonical : `${canonical}%${zone}`, port };
}

/** RFC 4271 section 4.2: zero, or at least three seconds. */
export function isHoldTime(text: string): boolean {
  const seconds = (parseDuration(text) ?? Number.NaN) / 1000;
  return seconds === 0 || (seconds >= 3 && seconds <= 65535);
}
