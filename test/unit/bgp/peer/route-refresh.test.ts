import { beforeEach, describe, expect, it } from 'vitest';
import { handleRefresh } from '../../../../bgp/peer/route-refresh.ts';
import { RefreshSubtype } from '../../../../bgp/wire/iana.ts';
import { silentLog } from '../../../../lib/log.ts';

let calls: string[];
beforeEach(() => {
  calls = [];
});

/** Handles a message. Routes of IPv4 are advertised to the peer. */
function handle(family: 4 | 6 | undefined, subtype: number, hasEnhancedRefresh: boolean): string[] {
  const note = (call: string) => (of: number) => void calls.push(`${call} ${of}`);
  handleRefresh({ type: 'route-refresh', family, subtype }, hasEnhancedRefresh, {
    advertiser: { members: new Map([[4, {} as never]]), refresh: note('send all') },
    inbound: { refreshBegins: note('begins'), refreshEnds: note('ends') },
    log: silentLog,
  });
  return calls;
}

describe('ROUTE-REFRESH from a peer', () => {
  it.each([
    [RefreshSubtype.REQUEST, ['send all 4']],
    [RefreshSubtype.BEGIN, ['begins 4']],
    [RefreshSubtype.END, ['ends 4']],
    [3, []],
    [255, []],
  ])('with the subtype %i leads to %j', (subtype, expected) => {
    expect(handle(4, subtype, true)).toEqual(expected);
  });

  it.each([0, 1, 2, 255])(
    'with the reserved octet %i is a request if the peer lacks enhanced route refresh (RFC 2918)',
    (subtype) => {
      expect(handle(4, subtype, false)).toEqual(['send all 4']);
    },
  );

  it.each([6, undefined] as const)('for the family %s, which the session lacks, is ignored', (family) => {
    for (const subtype of [0, 1, 2]) expect(handle(family, subtype, true)).toEqual([]);
  });
});
