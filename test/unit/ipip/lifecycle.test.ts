import { describe, expect, it } from 'vitest';
import {
  hasDevice,
  type Life,
  type LifeEvent,
  type LifeState,
  step,
  unchecked,
} from '../../../ipip/lifecycle.ts';

/** The usual life in each state: A is the tunnel's address. */
const lives: Record<LifeState, Life> = {
  Unchecked: unchecked,
  Cleaning: { state: 'Cleaning', address: undefined, published: undefined },
  Absent: { state: 'Absent', address: undefined, published: undefined },
  Wanted: { state: 'Wanted', address: undefined, published: undefined },
  Addressed: { state: 'Addressed', address: 'A', published: undefined },
  Up: { state: 'Up', address: 'A', published: undefined },
  Published: { state: 'Published', address: 'A', published: 'A' },
  Retained: { state: 'Retained', address: 'A', published: 'A' },
  Lingering: { state: 'Lingering', address: 'A', published: undefined },
  Releasing: { state: 'Releasing', address: 'A', published: undefined },
};

const events = {
  wanted: { type: 'wanted' },
  unwanted: { type: 'unwanted' },
  uncertain: { type: 'uncertain' },
  found: { type: 'found', address: 'B' },
  assigned: { type: 'assigned', address: 'B' },
  lost: { type: 'lost' },
  up: { type: 'up' },
  down: { type: 'down' },
  published: { type: 'published', address: 'A' },
  otherPublished: { type: 'published', address: 'O' },
  unpublished: { type: 'unpublished' },
  lingered: { type: 'lingered' },
  released: { type: 'released' },
} as const satisfies Record<string, LifeEvent>;
type EventName = keyof typeof events;

/** Abbreviates a step: `State address/published: actions`. */
function brief(life: Life, name: EventName): string {
  const { next, actions } = step(life, events[name]);
  const facts = `${next.state} ${next.address ?? '-'}/${next.published ?? '-'}`;
  return actions.length > 0 ? `${facts}: ${actions.join(', ')}` : facts;
}

// Every state with every event.
const table: Record<LifeState, Record<EventName, string>> = {
  Unchecked: {
    wanted: 'Wanted -/-: assign',
    unwanted: 'Cleaning -/-: release',
    uncertain: 'Unchecked -/-',
    found: 'Unchecked B/-',
    assigned: 'Unchecked -/-',
    lost: 'Unchecked -/-',
    up: 'Unchecked -/-',
    down: 'Unchecked -/-',
    published: 'Unchecked -/A',
    otherPublished: 'Unchecked -/O',
    unpublished: 'Unchecked -/-',
    lingered: 'Unchecked -/-',
    released: 'Unchecked -/-',
  },
  Cleaning: {
    wanted: 'Wanted -/-: assign',
    unwanted: 'Cleaning -/-',
    uncertain: 'Unchecked -/-',
    found: 'Cleaning -/-',
    assigned: 'Cleaning -/-',
    lost: 'Cleaning -/-',
    up: 'Cleaning -/-',
    down: 'Cleaning -/-',
    published: 'Cleaning -/A',
    otherPublished: 'Cleaning -/O',
    unpublished: 'Cleaning -/-',
    lingered: 'Cleaning -/-',
    released: 'Absent -/-',
  },
  Absent: {
    wanted: 'Wanted -/-: assign',
    unwanted: 'Absent -/-',
    uncertain: 'Absent -/-',
    found: 'Absent -/-',
    assigned: 'Absent -/-',
    lost: 'Absent -/-',
    up: 'Absent -/-',
    down: 'Absent -/-',
    published: 'Absent -/A: withdraw',
    otherPublished: 'Absent -/O: withdraw',
    unpublished: 'Absent -/-',
    lingered: 'Absent -/-',
    released: 'Absent -/-',
  },
  Wanted: {
    wanted: 'Wanted -/-',
    unwanted: 'Lingering -/-: startLinger',
    uncertain: 'Retained -/-',
    found: 'Wanted -/-',
    assigned: 'Addressed B/-: changed',
    lost: 'Wanted -/-',
    up: 'Wanted -/-',
    down: 'Wanted -/-',
    published: 'Wanted -/A',
    otherPublished: 'Wanted -/O',
    unpublished: 'Wanted -/-',
    lingered: 'Wanted -/-',
    released: 'Wanted -/-',
  },
  Addressed: {
    wanted: 'Addressed A/-',
    unwanted: 'Lingering A/-: startLinger',
    uncertain: 'Retained A/-',
    found: 'Addressed A/-',
    assigned: 'Addressed A/-',
    lost: 'Wanted A/-: assign',
    up: 'Up A/-: publish',
    down: 'Addressed A/-',
    published: 'Addressed A/A',
    otherPublished: 'Addressed A/O',
    unpublished: 'Addressed A/-',
    lingered: 'Addressed A/-',
    released: 'Wanted -/-: assign',
  },
  Up: {
    wanted: 'Up A/-',
    unwanted: 'Lingering A/-: startLinger',
    uncertain: 'Retained A/-',
    found: 'Up A/-',
    assigned: 'Up A/-',
    lost: 'Wanted A/-: assign',
    up: 'Up A/-',
    down: 'Addressed A/-',
    published: 'Published A/A',
    otherPublished: 'Up A/O: publish',
    unpublished: 'Up A/-',
    lingered: 'Up A/-',
    released: 'Wanted -/-: assign',
  },
  Published: {
    wanted: 'Published A/A',
    unwanted: 'Lingering A/A: withdraw',
    uncertain: 'Retained A/A',
    found: 'Published A/A',
    assigned: 'Published A/A',
    lost: 'Wanted A/A: assign',
    up: 'Published A/A',
    down: 'Addressed A/A',
    published: 'Published A/A',
    otherPublished: 'Up A/O: publish',
    unpublished: 'Up A/-: publish',
    lingered: 'Published A/A',
    released: 'Wanted -/A: assign',
  },
  Retained: {
    wanted: 'Addressed A/A',
    unwanted: 'Lingering A/A: withdraw',
    uncertain: 'Retained A/A',
    found: 'Retained A/A',
    assigned: 'Retained B/A: changed',
    lost: 'Retained A/A',
    up: 'Retained A/A',
    down: 'Retained A/A',
    published: 'Retained A/A',
    otherPublished: 'Retained A/O',
    unpublished: 'Retained A/-',
    lingered: 'Retained A/A',
    released: 'Absent -/A: changed, withdraw',
  },
  Lingering: {
    wanted: 'Addressed A/-: stopLinger',
    unwanted: 'Lingering A/-',
    uncertain: 'Retained A/-: stopLinger',
    found: 'Lingering A/-',
    assigned: 'Lingering B/-: changed',
    lost: 'Lingering A/-',
    up: 'Lingering A/-',
    down: 'Lingering A/-',
    published: 'Lingering A/A: withdraw, stopLinger',
    otherPublished: 'Lingering A/O: withdraw, stopLinger',
    unpublished: 'Lingering A/-',
    lingered: 'Releasing A/-: release',
    released: 'Absent -/-: stopLinger, changed',
  },
  Releasing: {
    wanted: 'Wanted -/-: assign',
    unwanted: 'Releasing A/-',
    uncertain: 'Retained A/-',
    found: 'Releasing A/-',
    assigned: 'Releasing A/-',
    lost: 'Releasing A/-',
    up: 'Releasing A/-',
    down: 'Releasing A/-',
    published: 'Releasing A/A',
    otherPublished: 'Releasing A/O',
    unpublished: 'Releasing A/-',
    lingered: 'Releasing A/-',
    released: 'Absent -/-: changed',
  },
};

describe('the life of a tunnel', () => {
  for (const [state, row] of Object.entries(table) as [LifeState, Record<EventName, string>][])
    it.each(Object.entries(row) as [EventName, string][])(
      `in ${state}, the event %s leads to %s`,
      (name, expected) => {
        expect(brief(lives[state], name)).toBe(expected);
      },
    );

  it.each<[string, Life, EventName, string]>([
    [
      'a tunnel of an earlier run that the Node has lingers, because other nodes may use it',
      { ...lives.Unchecked, address: 'A', published: 'A' },
      'unwanted',
      'Lingering A/A: withdraw',
    ],
    [
      'a tunnel of an earlier run that the Node has stays while a pool is unreadable',
      { ...lives.Unchecked, address: 'A', published: 'A' },
      'uncertain',
      'Retained A/A',
    ],
    [
      'a needed tunnel of an earlier run uses its address while IPAM confirms it',
      { ...lives.Unchecked, address: 'A', published: 'A' },
      'wanted',
      'Wanted A/A: assign',
    ],
    [
      'an address that the Node has from before is not written again when the device comes up',
      { ...lives.Addressed, published: 'A' },
      'up',
      'Published A/A',
    ],
    [
      'another address on the Node is replaced when the device comes up',
      { ...lives.Addressed, published: 'O' },
      'up',
      'Up A/O: publish',
    ],
    [
      'another address on the Node is not written over twice without a change',
      { ...lives.Up, published: 'O' },
      'otherPublished',
      'Up A/O',
    ],
    [
      'the old address stays in use until IPAM has assigned the new one',
      { ...lives.Wanted, address: 'A', published: 'A' },
      'assigned',
      'Addressed B/A: changed',
    ],
    [
      'the time in which other nodes may use a tunnel begins when its address is withdrawn',
      { ...lives.Lingering, published: 'A' },
      'unpublished',
      'Lingering A/-: startLinger',
    ],
    [
      'an address that is being withdrawn is not withdrawn again without a change',
      { ...lives.Lingering, published: 'A' },
      'published',
      'Lingering A/A',
    ],
    [
      'a lingering tunnel without an address needs one when a pool needs it again',
      { ...lives.Lingering, address: undefined },
      'wanted',
      'Wanted -/-: stopLinger, assign',
    ],
    [
      'a lingering tunnel without an address adopts the one that IPAM has',
      { ...lives.Lingering, address: undefined },
      'found',
      'Lingering B/-',
    ],
    [
      'a retained tunnel without an address adopts the one that IPAM has',
      { ...lives.Retained, address: undefined },
      'found',
      'Retained B/A',
    ],
    [
      'a retained tunnel that the Node does not have lingers without a withdrawal',
      { ...lives.Retained, published: undefined },
      'unwanted',
      'Lingering A/-: startLinger',
    ],
    [
      'a retained tunnel without an address needs one when a pool needs it again',
      { ...lives.Retained, address: undefined },
      'wanted',
      'Wanted -/A: assign',
    ],
    [
      'an address that another program published meanwhile is withdrawn after the release',
      { ...lives.Releasing, published: 'O' },
      'released',
      'Absent -/O: changed, withdraw',
    ],
  ])('%s', (_, life, name, expected) => {
    expect(brief(life, name)).toBe(expected);
  });

  it('has a device from the time that a pool needs it to the release of its address', () => {
    const without = Object.values(lives).filter((life) => !hasDevice(life));
    expect(without.map(({ state }) => state)).toEqual(['Unchecked', 'Cleaning', 'Absent']);
  });

  it('that no pool needs ends without address and annotation, whatever happened before', () => {
    const names = Object.keys(events) as EventName[];
    for (const first of Object.values(lives))
      for (const a of names)
        for (const b of names)
          for (const c of names) {
            const before = [a, b, c].reduce((life, name) => step(life, events[name]).next, first);
            // Everything that IPAM, the API and the clock have to do is done.
            const last = ['unwanted', 'unpublished', 'lingered', 'released'] as const;
            const { next } = last.reduce((life, name) => step(life.next, events[name]), {
              next: before,
            });
            expect([first.state, a, b, c, next]).toEqual([first.state, a, b, c, lives.Absent]);
          }
  });
});
