/** Effects of a peer's bytes on a running speaker: the session, the peer's routes, and the routes sent to others. */
import { expect, it } from 'vitest';
import { viewReceived } from '../../bgp/routes-view.ts';
import { BgpRole } from '../../bgp/wire/iana.ts';
import { A, B, reflector, speaker } from '../helpers/reflector-under-test.ts';
import { ScriptedPeer as Scripted, type ScriptedPeer, until } from '../helpers/scripted-peer.ts';

const UPDATE = 2;
const ROUTE_REFRESH = 5;
const ORIGIN = '40 01 01 00';
const NEXT_HOP = '40 03 04 0afe0001';
const LOCAL_PREF = '40 05 04 00000064';
const octets = (text: string) => (text.replace(/\s+/g, '').length / 2).toString(16).padStart(4, '0');
const announce = (peer: ScriptedPeer, attributes: string, nlri: string, withdrawn = '') =>
  peer.sendBytes(UPDATE, `${octets(withdrawn)} ${withdrawn} ${octets(attributes)} ${attributes} ${nlri}`);

const external = (asNumber: number, role: number) => ({
  asNumber,
  role,
  isClient: false,
  clusterId: undefined,
});
const rolesOf = (...roles: number[]) => ({ roles });

it('a route server passes routes between its clients unchanged (RFC 7947 section 2.2)', async () => {
  const { connect } = await reflector([A, B], (address) =>
    external(address === A ? 65001 : 65002, BgpRole.ROUTE_SERVER),
  );
  const a = await connect(A, rolesOf(BgpRole.ROUTE_SERVER_CLIENT), { asNumber: 65001 });
  const b = await connect(B, rolesOf(BgpRole.ROUTE_SERVER_CLIENT), { asNumber: 65002 });
  announce(a, `${ORIGIN} 40 02 06 02 01 0000fde9 ${NEXT_HOP} 80 04 04 00000007 c0 08 04 ffffff01`, '08 0a');
  await until(() => b.table.size === 1);
  expect(b.table.get('10.0.0.0/8')).toEqual({
    origin: 0,
    asPath: [{ type: 2, asNumbers: [65001] }],
    nextHop: '10.254.0.1',
    med: 7,
    communities: [0xffffff01],
    // RFC 9234 section 5: a route server adds OTC.
    onlyToCustomer: 64512,
  });
});

it('a client of a route server accepts paths that do not start with its AS (RFC 7947 section 2.2.2.2)', async () => {
  const { connect } = await reflector([A], () => external(65001, BgpRole.ROUTE_SERVER_CLIENT));
  const a = await connect(A, rolesOf(BgpRole.ROUTE_SERVER), { asNumber: 65001 });
  announce(a, `${ORIGIN} 40 02 06 02 01 0000fdea ${NEXT_HOP}`, '08 0a');
  await until(() => speaker.routeCount === 1);
  expect([...viewReceived(speaker.ribs[4], speaker.peer(A)!)]).toMatchObject([{ isUsable: true }]);
});

it('an error costs the routes of its UPDATE, or the session if the UPDATE announces none (RFC 7606 section 5.2)', async () => {
  const { connect } = await reflector([A, B]);
  const [a, b] = [await connect(A), await connect(B)];
  const good = `${ORIGIN} 40 02 00 ${NEXT_HOP} ${LOCAL_PREF}`;
  announce(a, good, '08 0a 08 0b');
  await until(() => b.table.size === 2);
  announce(a, `${ORIGIN} 40 02 00 ${NEXT_HOP} 80 04 02 0000 ${LOCAL_PREF}`, '08 0a');
  await until(() => b.table.size === 1);
  // An UPDATE that only withdraws routes does not need the mandatory attributes.
  announce(a, ORIGIN, '', '08 0b');
  await until(() => b.table.size === 0);
  announce(a, good, '08 0a');
  await until(() => b.table.size === 1);
  announce(a, `${ORIGIN} 80 04 02 0000`, '', '08 0b');
  await until(() => a.last('notification') !== undefined);
  const { code, subcode, data } = a.last('notification')!;
  expect([code, subcode, Buffer.from(data).toString('hex')]).toEqual([3, 5, '8004020000']);
  expect(speaker.peer(A)!.status().lastError).toMatch(/attribute 4 of 2 octets.*announces nothing.*5\.2/);
  await until(() => b.table.size === 0);
});

it('an enhanced refresh of a wrong length is answered with the entire message (RFC 7313 section 5)', async () => {
  const { connect } = await reflector([A]);
  const a = await connect(A, { hasEnhancedRefresh: true });
  const sent = a.sendBytes(ROUTE_REFRESH, '0001 01 01 ff');
  await until(() => a.last('notification') !== undefined);
  const { code, subcode, data } = a.last('notification')!;
  expect([code, subcode, Buffer.from(data)]).toEqual([7, 1, sent]);
});

it.each([
  [
    'only families that are not supported here',
    { families: [], otherFamilies: [{ afi: 25, safi: 70 }] },
    '2/7',
  ],
  ['two differing roles', rolesOf(BgpRole.PROVIDER, BgpRole.PEER), '2/11'],
  ['the AS number 23456', { fourOctetAs: 23456 }, '2/2'],
])('an OPEN with %s is refused, and the reason is shown', async (_, capabilities, expected) => {
  const { port } = await reflector([A], () => ({ asNumber: 65001 }));
  const peer = Scripted.open(port, A, capabilities, { asNumber: 65001 });
  await until(() => peer.last('notification') !== undefined);
  const { code, subcode } = peer.last('notification')!;
  expect(`${code}/${subcode}`).toBe(expected);
  expect(speaker.peer(A)!.status().lastError).toMatch(/AFI 25 SAFI 70|provider and peer|AS_TRANS/);
  peer.socket.destroy();
});
