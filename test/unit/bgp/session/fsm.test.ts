import { describe, expect, it } from 'vitest';
import { survivor } from '../../../../bgp/session/collision.ts';
import { describeFlapping, retrySeconds, step } from '../../../../bgp/session/fsm.ts';
import type { Action, Event, Session, State } from '../../../../bgp/session/session.ts';
import { noCapabilities } from '../../../../bgp/wire/capabilities.ts';
import { notification } from '../../../../bgp/wire/notification.ts';
import type { OpenMessage } from '../../../../bgp/wire/open.ts';
import { sessionConfig as config, negotiatedSession as negotiated } from '../../../helpers/session.ts';

const open: OpenMessage = {
  type: 'open',
  asNumber: 64512,
  holdTimeSeconds: 30,
  identifier: '10.0.0.2',
  capabilities: { ...noCapabilities, families: [4], fourOctetAs: 64512 },
};

const sessionIn = (state: State): Session => ({
  state,
  negotiated: state === 'OpenConfirm' || state === 'Established' ? negotiated : undefined,
  failures: 0,
  shortLived: 0,
});

const events: Record<string, Event> = {
  start: { type: 'start' },
  stop: { type: 'stop', notification: notification(6, 3) },
  connectRetry: { type: 'timer', timer: 'connectRetry' },
  hold: { type: 'timer', timer: 'hold' },
  keepaliveTimer: { type: 'timer', timer: 'keepalive' },
  idleHold: { type: 'timer', timer: 'idleHold' },
  settle: { type: 'timer', timer: 'settle' },
  connected: { type: 'connected' },
  disconnected: { type: 'disconnected', reason: 'reset' },
  open: { type: 'open', message: open },
  error: { type: 'error', notification: notification(1, 1), reason: 'bad' },
  collision: { type: 'collision' },
  replaced: { type: 'replaced' },
  notification: { type: 'notification', message: { type: 'notification', ...notification(6, 2) } },
  keepalive: { type: 'keepalive' },
  update: { type: 'update' },
  refresh: { type: 'refresh' },
};

/** Abbreviates actions: `send 6/3`, `start hold 90`, `down graceful`. Omits timers that are only stopped. */
function brief(actions: readonly Action[]): string {
  return actions
    .flatMap((action) => {
      switch (action.type) {
        case 'stopTimer':
          return [];
        case 'startTimer':
          return [`start ${action.timer} ${action.seconds}`];
        case 'sendNotification':
          return [`send ${action.notification.code}/${action.notification.subcode}`];
        case 'down':
          return [action.isGraceful ? 'down graceful' : 'down'];
        default:
          return [action.type];
      }
    })
    .join(', ');
}

const FAILED = 'start idleHold 0.25';
const same = (state: State) => [state, ''] as const;

// Every state with every event (RFC 4271 section 8.2.2).
const table: Record<State, Record<string, readonly [State, string]>> = {
  Idle: {
    settle: same('Idle'),
    start: ['Connect', 'start connectRetry 5, connect'],
    stop: ['Idle', 'disconnect'],
    connectRetry: same('Idle'),
    hold: same('Idle'),
    keepaliveTimer: same('Idle'),
    idleHold: ['Connect', 'start connectRetry 5, connect'],
    connected: ['OpenSent', 'sendOpen, start hold 240'],
    disconnected: same('Idle'),
    open: same('Idle'),
    error: same('Idle'),
    collision: same('Idle'),
    replaced: same('Idle'),
    notification: same('Idle'),
    keepalive: same('Idle'),
    update: same('Idle'),
    refresh: same('Idle'),
  },
  Connect: {
    settle: same('Connect'),
    start: same('Connect'),
    stop: ['Idle', 'disconnect'],
    connectRetry: ['Connect', 'disconnect, start connectRetry 5, connect'],
    hold: same('Connect'),
    keepaliveTimer: same('Connect'),
    idleHold: same('Connect'),
    connected: ['OpenSent', 'sendOpen, start hold 240'],
    disconnected: ['Active', 'disconnect, start connectRetry 0.25'],
    open: ['Idle', `disconnect, ${FAILED}`],
    error: ['Idle', `disconnect, ${FAILED}`],
    collision: ['Idle', `disconnect, ${FAILED}`],
    replaced: ['Idle', `disconnect, ${FAILED}`],
    notification: ['Idle', `disconnect, ${FAILED}`],
    keepalive: ['Idle', `disconnect, ${FAILED}`],
    update: ['Idle', `disconnect, ${FAILED}`],
    refresh: ['Idle', `disconnect, ${FAILED}`],
  },
  Active: {
    settle: same('Active'),
    start: same('Active'),
    stop: ['Idle', 'disconnect'],
    connectRetry: ['Connect', 'start connectRetry 5, connect'],
    hold: same('Active'),
    keepaliveTimer: same('Active'),
    idleHold: same('Active'),
    connected: ['OpenSent', 'sendOpen, start hold 240'],
    disconnected: ['Active', 'disconnect, start connectRetry 0.25'],
    open: ['Idle', `disconnect, ${FAILED}`],
    error: ['Idle', `disconnect, ${FAILED}`],
    collision: ['Idle', `disconnect, ${FAILED}`],
    replaced: ['Idle', `disconnect, ${FAILED}`],
    notification: ['Idle', `disconnect, ${FAILED}`],
    keepalive: ['Idle', `disconnect, ${FAILED}`],
    update: ['Idle', `disconnect, ${FAILED}`],
    refresh: ['Idle', `disconnect, ${FAILED}`],
  },
  OpenSent: {
    settle: same('OpenSent'),
    start: same('OpenSent'),
    stop: ['Idle', 'send 6/3, disconnect'],
    connectRetry: same('OpenSent'),
    hold: ['Idle', `send 4/0, disconnect, ${FAILED}`],
    keepaliveTimer: same('OpenSent'),
    idleHold: same('OpenSent'),
    connected: same('OpenSent'),
    disconnected: ['Active', 'disconnect, start connectRetry 0.25'],
    open: ['OpenConfirm', 'sendKeepalive, start hold 30, start keepalive 10'],
    error: ['Idle', `send 1/1, disconnect, ${FAILED}`],
    collision: ['Idle', `send 6/7, disconnect, ${FAILED}`],
    replaced: same('OpenSent'),
    notification: ['Idle', `disconnect, ${FAILED}`],
    keepalive: ['Idle', `send 5/1, disconnect, ${FAILED}`],
    update: ['Idle', `send 5/1, disconnect, ${FAILED}`],
    refresh: ['Idle', `send 5/1, disconnect, ${FAILED}`],
  },
  OpenConfirm: {
    settle: same('OpenConfirm'),
    start: same('OpenConfirm'),
    stop: ['Idle', 'send 6/3, disconnect'],
    connectRetry: same('OpenConfirm'),
    hold: ['Idle', `send 4/0, disconnect, ${FAILED}`],
    keepaliveTimer: ['OpenConfirm', 'sendKeepalive, start keepalive 30'],
    idleHold: same('OpenConfirm'),
    connected: same('OpenConfirm'),
    disconnected: ['Idle', `disconnect, ${FAILED}`],
    open: ['Idle', `send 5/2, disconnect, ${FAILED}`],
    error: ['Idle', `send 1/1, disconnect, ${FAILED}`],
    collision: ['Idle', `send 6/7, disconnect, ${FAILED}`],
    replaced: same('OpenConfirm'),
    notification: ['Idle', `disconnect, ${FAILED}`],
    keepalive: ['Established', 'start hold 90, start settle 30, established'],
    update: ['Idle', `send 5/2, disconnect, ${FAILED}`],
    refresh: ['Idle', `send 5/2, disconnect, ${FAILED}`],
  },
  Established: {
    settle: same('Established'),
    start: same('Established'),
    stop: ['Idle', 'send 6/3, disconnect, down'],
    connectRetry: same('Established'),
    hold: ['Idle', `send 4/0, disconnect, down, ${FAILED}`],
    keepaliveTimer: ['Established', 'sendKeepalive, start keepalive 30'],
    idleHold: same('Established'),
    connected: same('Established'),
    disconnected: ['Idle', `disconnect, down graceful, ${FAILED}`],
    open: ['Idle', `send 5/3, disconnect, down, ${FAILED}`],
    error: ['Idle', `send 1/1, disconnect, down, ${FAILED}`],
    collision: ['Idle', `send 6/7, disconnect, down, ${FAILED}`],
    replaced: ['Idle', `disconnect, down graceful, ${FAILED}`],
    notification: ['Idle', `disconnect, down, ${FAILED}`],
    keepalive: ['Established', 'start hold 90'],
    update: ['Established', 'start hold 90'],
    refresh: ['Established', 'start hold 90'],
  },
};

describe('the finite state machine (RFC 4271 section 8, subcodes of RFC 6608)', () => {
  for (const [state, row] of Object.entries(table)) {
    it.each(Object.entries(row))(
      `in ${state}, the event %s leads to the expected state and actions`,
      (name, [next, actions]) => {
        const result = step(sessionIn(state as State), events[name]!, config);
        expect([result.next.state, brief(result.actions)]).toEqual([next, actions]);
      },
    );
    it(`in ${state}, every event has an expectation`, () => {
      expect(Object.keys(row).sort()).toEqual(Object.keys(events).sort());
    });
  }

  it('a passive peer waits for an incoming connection', () => {
    const result = step(sessionIn('Idle'), events['start']!, { ...config, isPassive: true });
    expect([result.next.state, brief(result.actions)]).toEqual(['Active', 'start connectRetry 5']);
  });

  it.each<[string, Partial<OpenMessage>, string, RegExp]>([
    ['another AS', { asNumber: 65000 }, 'send 2/2', /the peer sends AS 65000, but AS 64512 is configured/],
    ['our own identifier', { identifier: '10.0.0.1' }, 'send 2/3', /our own BGP identifier/],
    [
      'no family in common',
      { capabilities: { ...noCapabilities, families: [6] } },
      'send 2/7',
      /no common address family/,
    ],
  ])('an OPEN with %s is refused with the reason', (_, change, sent, reason) => {
    const result = step(sessionIn('OpenSent'), { type: 'open', message: { ...open, ...change } }, config);
    expect(brief(result.actions)).toContain(sent);
    expect(result.reason).toMatch(reason);
  });

  it('a hold time of 0 starts no timers', () => {
    const result = step(
      sessionIn('OpenSent'),
      { type: 'open', message: { ...open, holdTimeSeconds: 0 } },
      config,
    );
    expect(brief(result.actions)).toBe('sendKeepalive');
  });

  it('the retry delay starts at 0.25 s, doubles, and ends at 5 s', () => {
    expect([0, 1, 2, 3, 4, 5, 99].map((failures) => retrySeconds(failures, config))).toEqual([
      0.25, 0.5, 1, 2, 4, 5, 5,
    ]);
  });

  it('the delay grows while a session keeps falling soon after it comes up, and resets once one lasts', () => {
    const fall = (session: Session) => step(session, events['notification']!, config);
    const rise = (session: Session) =>
      step({ ...session, state: 'OpenConfirm', negotiated }, events['keepalive']!, config).next;
    const delays: string[] = [];
    let session = rise(sessionIn('OpenConfirm'));
    for (let round = 0; round < 13; round++) {
      const fallen = fall(session);
      delays.push(brief(fallen.actions).replace(/.*idleHold /, ''));
      expect(describeFlapping(fallen.next) !== undefined).toBe(round >= 2);
      session = rise(fallen.next);
    }
    expect(delays.map(Number)).toEqual([0.25, 0.25, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    const settled = step(session, events['settle']!, config).next;
    expect(describeFlapping(settled)).toBeUndefined();
    expect(brief(fall(settled).actions)).toContain('idleHold 0.25');
  });

  it('the delay stays within five seconds for a peer that may be restarting gracefully, however often it does', () => {
    let session: Session = { ...sessionIn('Established'), shortLived: 1 };
    for (let round = 0; round < 9; round++) {
      const fallen = step(session, events['disconnected']!, config);
      expect(Number(brief(fallen.actions).replace(/.*idleHold /, ''))).toBeLessThanOrEqual(5);
      expect(describeFlapping(fallen.next) !== undefined).toBe(round >= 2);
      session = step({ ...fallen.next, state: 'OpenConfirm', negotiated }, events['keepalive']!, config).next;
    }
  });
});

describe('connection collision (RFC 4271 section 6.8, RFC 6286)', () => {
  const speaker = (identifier: string, asNumber = 64512) => ({ identifier, asNumber });
  it.each([
    ['10.0.0.9', '10.0.0.10', 'incoming'],
    ['10.0.0.10', '10.0.0.9', 'outgoing'],
    ['9.255.255.255', '10.0.0.0', 'incoming'],
  ])('between identifiers %s and %s, the %s connection survives', (local, remote, expected) => {
    expect(survivor(speaker(local), speaker(remote))).toBe(expected);
  });
  it('between equal identifiers, the AS number decides', () => {
    expect(survivor(speaker('10.0.0.1', 2), speaker('10.0.0.1', 1))).toBe('outgoing');
  });
});
