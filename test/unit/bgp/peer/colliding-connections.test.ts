import { describe, expect, it } from 'vitest';
import { collidingConnections, isNearer } from '../../../../bgp/peer/colliding-connections.ts';
import { idleSession, type State } from '../../../../bgp/session/session.ts';
import { noCapabilities } from '../../../../bgp/wire/capabilities.ts';
import type { OpenMessage } from '../../../../bgp/wire/open.ts';

const at = (state: State, isOutgoing: boolean) => ({
  session: { ...idleSession, state },
  connection: { isOutgoing },
});
const open = (isRestarting = false): OpenMessage => ({
  type: 'open',
  asNumber: 64512,
  holdTimeSeconds: 90,
  identifier: '10.0.0.2',
  capabilities: {
    ...noCapabilities,
    gracefulRestart: { isRestarting, hasNotification: false, restartTimeSeconds: 120, families: [] },
  },
});
const main = (state: State, establishedMs = 0) => ({
  runner: at(state, true),
  isProven: false,
  establishedMs,
  evidence: 'answered' as const,
});

describe('an OPEN on a second connection', () => {
  it('collides only with the session while one is Established', () => {
    const session = main('Established', 60_000);
    const opening = { runner: at('OpenConfirm', true), isProven: false };
    const colliding = collidingConnections(at('OpenSent', false), open(), session, [opening]);
    expect(colliding.map(({ other }) => other)).toEqual([session.runner]);
    expect(colliding[0]?.running).toMatchObject({ state: 'Established', evidence: 'answered' });
  });

  it.each([
    [1000, false, true],
    [1000, true, false],
    [60_000, false, false],
  ])('%i ms after the session came up, with R bit %s, is simultaneous: %s', (ms, isRestarting, expected) => {
    const [colliding] = collidingConnections(
      at('OpenSent', false),
      open(isRestarting),
      main('Established', ms),
      [],
    );
    expect(colliding?.running.isSimultaneous).toBe(expected);
  });

  it('collides with each connection in OpenConfirm in the other direction, and not with itself', () => {
    const newcomer = at('OpenConfirm', false);
    const dialled = main('OpenConfirm');
    const others = [
      { runner: newcomer, isProven: true },
      { runner: at('OpenConfirm', false), isProven: true },
      { runner: at('OpenSent', true), isProven: true },
    ];
    const colliding = collidingConnections(newcomer, open(), dialled, others);
    expect(colliding.map(({ other }) => other)).toEqual([dialled.runner]);
  });
});

it('Established is nearer than OpenConfirm, and Connect and Active are equally near', () => {
  const of = (state: State) => ({ ...idleSession, state });
  expect(isNearer(of('Established'), of('OpenConfirm'))).toBe(true);
  expect(isNearer(of('Connect'), of('Active')) || isNearer(of('Active'), of('Connect'))).toBe(false);
});
