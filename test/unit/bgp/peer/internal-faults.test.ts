import { expect, it } from 'vitest';
import { InternalFaults } from '../../../../bgp/peer/internal-faults.ts';
import { silentLog } from '../../../../lib/log.ts';
import { VirtualTime } from '../../../helpers/virtual-time.ts';

function begin() {
  const time = new VirtualTime();
  const seen: string[] = [];
  const fail = () => {
    seen.push('first');
    throw new Error('not now');
  };
  const faults = new InternalFaults({
    clock: time,
    log: silentLog,
    end: [fail, () => seen.push('second')],
    over: () => seen.push('over'),
  });
  return { time, seen, faults };
}

it('a fault runs every step that ends the session, even if one throws', () => {
  const { seen, faults } = begin();
  expect(faults.handle(new Error('broken'))).toBe('internal fault: broken; next attempt in 1 s');
  expect(seen).toEqual(['first', 'second']);
});

it('a fault delays the next attempt, and a second one replaces the delay by a longer one', () => {
  const { time, seen, faults } = begin();
  faults.handle(new Error('broken'));
  time.advance(900);
  expect(faults.handle(new Error('again'))).toMatch(/again; next attempt in 2 s/);
  time.advance(1900);
  expect([seen.includes('over'), faults.reason]).toEqual([false, expect.stringContaining('again')]);
  time.advance(100);
  expect([seen.at(-1), faults.reason]).toEqual(['over', undefined]);
});

it('no attempt follows for a peer that was removed', () => {
  const { time, seen, faults } = begin();
  faults.handle(new Error('broken'));
  faults.cancel();
  time.advance(10_000);
  expect(seen).not.toContain('over');
});
