import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Observers } from '../../../../agent/speaker/observers.ts';
import type { Speaker } from '../../../../bgp/speaker.ts';
import { silentLog } from '../../../../lib/log.ts';
import { configuration } from '../../../helpers/calc-input.ts';
import { until } from '../../../helpers/lab.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';

let station: Server;
let connections: Socket[];
let observing: number;
let observers: Observers;
beforeEach(async () => {
  [connections, observing] = [[], 0];
  station = net.createServer((socket) => {
    connections.push(socket.resume());
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => station.listen(0, '127.0.0.1', resolve));
  const speaker: Pick<Speaker, 'observe' | 'peers'> = {
    peers: [],
    observe: () => {
      observing++;
      return () => void observing--;
    },
  };
  observers = new Observers(speaker as Speaker, undefined, { time: new ManualClock(), log: silentLog });
});
afterEach(async () => {
  observers.close();
  for (const socket of connections) socket.destroy();
  await new Promise((resolve) => station.close(resolve));
});

const spec = () => ({ bmpStation: `127.0.0.1:${(station.address() as AddressInfo).port}` });
const configure = (value: object) => observers.configure([configuration(value)]);

it('routes are exported to the station of BGPConfiguration, and another setting does not reconnect', async () => {
  configure(spec());
  await until('connected', 5_000, () => connections.length === 1);
  configure({ ...spec(), logSeverityScreen: 'Debug' });
  expect([connections.length, observing]).toEqual([1, 1]);
});

it('the export ends with the setting', async () => {
  configure(spec());
  await until('connected', 5_000, () => connections.length === 1);
  configure({});
  expect(observing).toBe(0);
  await until('closed', 5_000, () => connections[0]?.closed === true);
});

it('without a station nothing is observed', () => {
  observers.configure([]);
  expect(observing).toBe(0);
});

it('a wire log observes as long as the speaker runs', () => {
  const speaker = { observe: () => void observing++ } as unknown as Speaker;
  new Observers(speaker, 'all', { time: new ManualClock(), log: silentLog }).close();
  expect(observing).toBe(1);
});
