/** BMP Peer Down (RFC 7854 section 4.9): the reason for every way in which a session ends. */
import { expect, it } from 'vitest';
import { peerDown } from '../../../../bgp/monitor/peer-down.ts';
import { step } from '../../../../bgp/session/fsm.ts';
import type { Event, Negotiated, Session } from '../../../../bgp/session/session.ts';
import { noCapabilities } from '../../../../bgp/wire/capabilities.ts';
import { notification } from '../../../../bgp/wire/notification.ts';
import { sessionConfig as config, negotiatedSession } from '../../../helpers/session.ts';

const negotiated: Negotiated = { ...negotiatedSession, peerRestart: undefined };
const established: Session = { state: 'Established', negotiated, failures: 0, shortLived: 1 };
const MARKER = 'ff'.repeat(16);
const bytes = (code: number, subcode: number, data = '') =>
  `${MARKER}00${(21 + data.length / 2).toString(16)}03${[code, subcode].map((n) => n.toString(16).padStart(2, '0')).join('')}${data}`;

const open = {
  type: 'open' as const,
  asNumber: 64512,
  holdTimeSeconds: 30,
  identifier: '10.0.0.2',
  capabilities: noCapabilities,
};
const shutdown = notification(6, 2, 'bye');

it.each<[string, Event, string]>([
  ['a stop', { type: 'stop', notification: notification(6, 3) }, `01${bytes(6, 3)}`],
  ['the hold timer expires', { type: 'timer', timer: 'hold' }, `01${bytes(4, 0)}`],
  [
    'an error in a message',
    { type: 'error', notification: { ...notification(3, 5), data: Uint8Array.of(0xab) }, reason: '' },
    `01${bytes(3, 5, 'ab')}`,
  ],
  ['a collision', { type: 'collision' }, `01${bytes(6, 7)}`],
  ['an OPEN in Established', { type: 'open', message: open }, `01${bytes(5, 3)}`],
  ['a restarted peer reconnects', { type: 'replaced' }, '020011'],
  [
    'a received NOTIFICATION',
    { type: 'notification', message: { type: 'notification', ...shutdown } },
    `03${bytes(6, 2, '03627965')}`,
  ],
  ['a closed connection', { type: 'disconnected', reason: 'closed' }, '04'],
])('after %s, the BMP station gets the reason and its data', (_, event, expected) => {
  const downs = step(established, event, config).actions.filter((action) => action.type === 'down');
  expect(downs.map(({ end }) => Buffer.from(peerDown(end)).toString('hex'))).toEqual([expected]);
});
