/** Faulty UPDATEs as bytes, and their outcome from internal and from external peers (RFC 7606). */
import { describe, expect, it } from 'vitest';
import { decodeUpdate } from '../../../bgp/wire/update.ts';
import { WireError } from '../../../bgp/wire/wire-error.ts';
import type { Family } from '../../../lib/cidr.ts';
import { type Listener, Relay } from '../../helpers/relay.ts';
import { type UpdateCase, updateCases } from './update-errors.cases.ts';

type Attributes = Readonly<Record<number, string | undefined>>;

const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
const u16 = (value: number) => value.toString(16).padStart(4, '0');
const V4 = '10.0.0.0/8';
const V6 = '2001:db8::/32';
const REACH = `80 0e 1a 0002 01 10 20010db8${'00'.repeat(11)}32 00 20 20010db8`;

/** The body of an UPDATE that is good for both kinds of peers, with some attributes replaced. */
function body(
  attributes: Attributes,
  { form = 'classic', isOld = false, nlri, withdrawn = '' }: Partial<UpdateCase> = {},
  isIbgp: boolean,
): Uint8Array {
  const base: Attributes = {
    1: '40 01 01 00',
    2: isOld ? '40 02 04 02 01 fde9' : '40 02 06 02 01 0000fde9',
    3: form === 'classic' ? '40 03 04 0a000032' : undefined,
    5: isIbgp ? '40 05 04 00000064' : undefined,
    14: form === 'multiprotocol' ? REACH : undefined,
  };
  const all = form === 'nothing' ? attributes : { ...base, ...attributes };
  // Object.values returns integer keys in ascending order.
  const list = Object.values(all).join(' ');
  const prefixes = nlri ?? (form === 'classic' ? '08 0a' : '');
  const octets = (text: string) => u16(bytesOf(text).length);
  return bytesOf(`${octets(withdrawn)} ${withdrawn} ${octets(list)} ${list} ${prefixes}`);
}

/** A peer that has announced both prefixes, and clients that have received them. */
function start(
  isIbgp: boolean,
  { isOld = false, hasAddPath = false, hasExtendedNextHop = true }: UpdateCase,
) {
  const ownAddresses = new Set(['0a0a0a0a']);
  const addPath: Family[] = hasAddPath ? [4] : [];
  const relay = new Relay({ isIbgp, isFourOctetAs: !isOld, ownAddresses, addPath, hasExtendedNextHop });
  const listeners = [relay.listen(), relay.listen({ family: 6, selfNextHop: `fd99${'00'.repeat(13)}01` })];
  relay.receive(body({}, { isOld, ...(hasAddPath ? { nlri: '00000000 08 0a' } : {}) }, isIbgp));
  relay.receive(body({}, { isOld, form: 'multiprotocol' }, isIbgp));
  expect([relay.reason(V4), relay.reason(V6, 6)]).toEqual(['best', 'best']);
  listeners.map(sent);
  return { relay, listeners };
}

const sent = (listener: Listener) => Buffer.from(listener.take()).toString('hex');

/** Returns the prefix that the case affects. */
function subject({ form, attributes = {}, isAboutIpv4 = false }: UpdateCase): [string, Family] {
  const isIpv6 =
    (form === 'multiprotocol' && !isAboutIpv4) || (form === 'nothing' && attributes[15] !== undefined);
  return isIpv6 ? [V6, 6] : [V4, 4];
}

function outcome(relay: Relay, one: UpdateCase, update: Uint8Array): string {
  try {
    const { faults } = relay.receive(update);
    const reason = relay.reason(...subject(one));
    if (reason === undefined) return 'withdraw';
    if (reason !== 'best') return 'refused';
    return faults.some(({ verdict }) => verdict === 'discard') ? 'discard' : 'used';
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return `reset ${error.notification.code}/${error.notification.subcode}`;
  }
}

/** Returns the outcome for a tool that decodes the same bytes. */
function decoded(
  update: Uint8Array,
  isIbgp: boolean,
  { isOld = false, hasAddPath = false, hasExtendedNextHop = true }: UpdateCase,
): string {
  try {
    const { faults } = decodeUpdate(update, {
      isIbgp,
      isFourOctetAs: !isOld,
      addPath: hasAddPath ? [4] : [],
      hasExtendedNextHop,
    });
    const worst = faults.some(({ verdict }) => verdict === 'withdraw') ? 'withdraw' : faults[0]?.verdict;
    return worst ?? 'used';
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return `reset ${error.notification.code}/${error.notification.subcode}`;
  }
}

const cases = updateCases.flatMap((one) =>
  [true, false].map((isIbgp) => {
    const expected = isIbgp ? one.internal : one.external;
    const title = `${one.what} from an ${isIbgp ? 'internal' : 'external'} peer gives ${expected} (RFC ${one.clause})`;
    return [title, one, isIbgp, expected] as const;
  }),
);

describe('an UPDATE', () => {
  it.each(cases)('with %s', (_, one, isIbgp, expected) => {
    const { isOld = false, attributes = {}, form } = one;
    const { relay, listeners } = start(isIbgp, one);
    const update = body(attributes, one, isIbgp);
    expect(outcome(relay, one, update)).toBe(expected);
    // For a tool, withdrawals are not faults, and it evaluates no policy.
    if (form !== 'nothing') expect(decoded(update, isIbgp, one)).toBe(expected.replace('refused', 'used'));
    else if (expected.startsWith('reset')) expect(decoded(update, isIbgp, one)).toBe(expected);
    if (expected === 'discard' || (expected === 'used' && one.leaves)) {
      const other = start(isIbgp, one);
      const without = Object.fromEntries(Object.keys(attributes).map((type) => [type, undefined]));
      other.relay.receive(body({ ...without, ...one.leaves }, one, isIbgp));
      expect(listeners.map(sent)).toEqual(other.listeners.map(sent));
    }
    // The session continues.
    if (expected.startsWith('reset')) return;
    const form4 = { isOld, ...(one.hasAddPath ? { nlri: '00000000 08 0a' } : {}) };
    relay.receive(body({}, subject(one)[1] === 4 ? form4 : { isOld, form: 'multiprotocol' }, isIbgp));
    expect(relay.reason(...subject(one))).toBe('best');
  });
});
