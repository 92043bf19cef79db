import { createSocket } from 'node:dgram';
import { expect, it, onTestFinished, vi } from 'vitest';
import { Bfd } from '../../../bgp/bfd/bfd.ts';
import { BfdState, encodeBfd } from '../../../bgp/bfd/packet.ts';
import { bfdPacket, newBfdSession } from '../../../bgp/bfd/session.ts';
import { silentLog } from '../../../lib/log.ts';
import { systemTime } from '../../../lib/time.ts';

const timers = { desiredMinTxUs: 100_000, requiredMinRxUs: 100_000, multiplier: 3 };
const { ADMIN_DOWN, DOWN } = BfdState;

it('a BFD session over sockets stays up when a forged packet without our discriminator has state Down', async () => {
  const events: string[] = [];
  const states = new Map<string, string>();
  const ends = [
    { own: '127.0.0.81', other: '127.0.0.82' },
    { own: '127.0.0.82', other: '127.0.0.81' },
  ];
  const config = { receiveIntervalMs: 300, transmitIntervalMs: 300, multiplier: 20, isMultihop: true };
  const bfd = new Bfd({
    clock: systemTime,
    log: silentLog,
    events: {
      down: (address, reason) => void events.push(`${address} ${reason}`),
      changed: (address, state) => void states.set(address, state),
    },
  });
  // Two neighbours in one process, each the peer of the other: packets from one belong to the other's session.
  bfd.setNeighbours(ends.map(({ own, other }) => ({ address: other, localAddress: own, config })));
  const socket = createSocket('udp4');
  onTestFinished(() => {
    bfd.close();
    socket.close();
  });
  await vi.waitFor(() => expect([...states.values()]).toEqual(['Up', 'Up']), { timeout: 250_000 });
  await new Promise<void>((resolve) => socket.bind({ address: '127.0.0.82' }, resolve));
  for (const state of [DOWN, ADMIN_DOWN])
    await new Promise((resolve) =>
      socket.send(
        encodeBfd(bfdPacket({ ...newBfdSession(9), state }, timers, false)),
        4784,
        '127.0.0.81',
        resolve,
      ),
    );
  // The packets are in the listener's queue now.
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect([...states.values()]).toEqual(['Up', 'Up']);
  expect(events).toEqual([]);
});
