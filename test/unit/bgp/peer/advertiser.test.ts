import { beforeEach, describe, expect, it } from 'vitest';
import type { MemberPeer, PeerMember } from '../../../../bgp/group/peer-member.ts';
import type { UpdateGroups } from '../../../../bgp/group/update-groups.ts';
import { Advertiser } from '../../../../bgp/peer/advertiser.ts';
import type { OutgoingMessage } from '../../../../bgp/wire/message.ts';
import { listenerSpec } from '../../../helpers/relay.ts';
import { negotiatedSession } from '../../../helpers/session.ts';

const negotiated = { ...negotiatedSession, families: [4, 6] as const };

let calls: string[];
let hasEnhancedRefresh: boolean;
/** Families whose routes were all sent. */
let live: Set<number>;
let advertiser: Advertiser;
beforeEach(() => {
  [calls, live, hasEnhancedRefresh] = [[], new Set([4, 6]), true];
  const group = { isLive: ({ family }: PeerMember) => live.has(family) };
  const note = (what: string) => (member: PeerMember) => {
    member.group = group as PeerMember['group'];
    calls.push(`${what} ${member.family}`);
  };
  const groups: Pick<UpdateGroups, 'join' | 'leave' | 'move' | 'refresh' | 'resume'> = {
    join: note('join'),
    leave: note('leave'),
    move: note('move'),
    refresh: note('refresh'),
    resume: note('resume'),
  };
  advertiser = new Advertiser({
    groups: groups as UpdateGroups,
    send: (message) => calls.push(nameOf(message)),
    hasEnhancedRefresh: () => hasEnhancedRefresh,
    endOfRibDue: () => calls.push('due'),
    spec: (family) => ({ ...listenerSpec, family }),
  });
  advertiser.join({ source: 1 } as MemberPeer, negotiated);
  calls = [];
});

function nameOf(message: OutgoingMessage): string {
  if (message.type === 'update') return `End-of-RIB ${message.unreach ? 6 : 4}`;
  return message.type === 'route-refresh'
    ? `${message.subtype === 1 ? 'BoRR' : 'EoRR'} ${message.family}`
    : message.type;
}
/** Returns what happens, and forgets it. */
function caused(act: () => void): string[] {
  calls = [];
  act();
  return calls;
}

describe('End-of-RIB', () => {
  it('is due after the initial update, and sent once when it may be', () => {
    expect(caused(() => advertiser.marker(4, 'End-of-RIB'))).toEqual(['due']);
    expect(caused(() => expect(advertiser.sendEndOfRib()).toBe(true))).toEqual(['End-of-RIB 4']);
    expect(caused(() => expect(advertiser.sendEndOfRib()).toBe(true))).toEqual([]);
  });

  it('of a family waits while its routes are still being sent, and the other family does not', () => {
    advertiser.marker(4, 'End-of-RIB');
    advertiser.marker(6, 'End-of-RIB');
    live = new Set([6]);
    expect(caused(() => expect(advertiser.sendEndOfRib()).toBe(false))).toEqual(['End-of-RIB 6']);
    live = new Set([4, 6]);
    expect(caused(() => expect(advertiser.sendEndOfRib()).toBe(true))).toEqual(['End-of-RIB 4']);
  });

  it('of an ended session is not sent in the next one', () => {
    advertiser.marker(4, 'End-of-RIB');
    expect(caused(() => advertiser.leave())).toEqual(['leave 4', 'leave 6']);
    advertiser.join({ source: 1 } as MemberPeer, negotiated);
    expect(caused(() => expect(advertiser.sendEndOfRib()).toBe(true))).toEqual([]);
  });
});

describe('a refresh', () => {
  it('with BoRR and EoRR waits for End-of-RIB (RFC 7313 section 4), and happens once', () => {
    advertiser.marker(4, 'End-of-RIB');
    expect(
      caused(() => {
        advertiser.refresh(4);
        advertiser.refresh(4);
      }),
    ).toEqual([]);
    expect(caused(() => advertiser.sendEndOfRib())).toEqual(['End-of-RIB 4', 'refresh 4']);
    expect(caused(() => advertiser.refresh(4))).toEqual(['refresh 4']);
  });

  it('without them happens at once', () => {
    hasEnhancedRefresh = false;
    expect(caused(() => advertiser.refresh(6))).toEqual(['refresh 6']);
  });

  it('that waited for an ended session does not happen in the next one', () => {
    advertiser.refresh(4);
    advertiser.leave();
    advertiser.join({ source: 1 } as MemberPeer, negotiated);
    advertiser.marker(4, 'End-of-RIB');
    expect(caused(() => advertiser.sendEndOfRib())).toEqual(['End-of-RIB 4']);
  });

  it('is enclosed in BoRR and EoRR only if they were negotiated', () => {
    const markers = () => {
      advertiser.marker(4, 'BoRR');
      advertiser.marker(4, 'EoRR');
    };
    expect(caused(markers)).toEqual(['BoRR 4', 'EoRR 4']);
    hasEnhancedRefresh = false;
    expect(caused(markers)).toEqual([]);
  });

  it('of a family that the session lacks is ignored', () => {
    advertiser.leave();
    expect(caused(() => advertiser.refresh(4))).toEqual([]);
  });
});

it('changed settings move all families, and a peer that reads again gets the rest', () => {
  expect(caused(() => advertiser.move(negotiated))).toEqual(['move 4', 'move 6']);
  expect(caused(() => advertiser.drained())).toEqual(['resume 4', 'resume 6']);
});
