import { expect, it } from 'vitest';
import { SessionHistory } from '../../../../bgp/peer/session-history.ts';
import { idleSession, type State } from '../../../../bgp/session/session.ts';
import { silentLog } from '../../../../lib/log.ts';
import { VirtualTime } from '../../../helpers/virtual-time.ts';

const at = (state: State) => ({ ...idleSession, state });

it('the last error stays until the session is Established, the last NOTIFICATION for good', () => {
  const time = new VirtualTime();
  const history = new SessionHistory(silentLog, () => time.now());
  time.advance(1000);
  history.transition(at('OpenSent'), at('Idle'), 'received Cease');
  const received = { since: 1000, lastError: 'received Cease', lastNotification: 'received Cease' };
  expect(history.describe()).toEqual(received);
  history.transition(at('Idle'), at('Connect'), undefined);
  expect(history.describe()).toEqual(received);
  history.attemptFailed('Connection refused');
  expect(history.describe()).toEqual({ ...received, lastError: 'Connection refused' });
  history.transition(at('OpenConfirm'), at('Established'), undefined);
  expect(history.describe()).toEqual({ ...received, lastError: undefined });
});

it('the same obstacle is logged once', () => {
  const warnings: unknown[] = [];
  const log = { ...silentLog, warn: (fields: unknown) => void warnings.push(fields) };
  const history = new SessionHistory(log, () => 0);
  history.obstacle('no password');
  history.obstacle('no password');
  expect(warnings).toEqual([{ reason: 'no password' }]);
  history.obstacle('another');
  expect(warnings).toHaveLength(2);
});
