import { expect, it } from 'vitest';
import { ConditionReport } from '../../../../agent/report/condition-report.ts';
import { START_MS, type Unavailability } from '../../../../agent/report/report.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';

function start() {
  const clock = new ManualClock();
  const written: [readonly string[], readonly string[]][] = [];
  const state: { now: Unavailability } = { now: { broken: [], starting: [] } };
  const report: ConditionReport = new ConditionReport(clock.now(), {
    condition: { update: (reasons, remarks) => void written.push([reasons, remarks ?? []]), close() {} },
    unavailability: () => state.now,
    nftables: { problems: ['nft is not installed'] },
    objects: () => [{ kind: 'IPReservation', name: 'r', reason: 'is malformed' }],
    clock,
    changed: () => report.update(),
  });
  return { clock, written, state, report };
}
const remarks = ['nft is not installed', 'IPReservation r: is malformed'];

it('the condition has the reasons, and the faults that have no better place', () => {
  const { written, state, report } = start();
  state.now = { broken: ['no API'], starting: [] };
  report.update();
  state.now = { broken: [], starting: [] };
  report.update();
  expect(written).toEqual([
    [['no API'], remarks],
    [[], remarks],
  ]);
});

it('a start is not reported until it takes too long', () => {
  const { clock, written, state, report } = start();
  state.now = { broken: [], starting: ['not in sync'] };
  report.update();
  clock.advance(START_MS - 1);
  expect(written).toEqual([]);
  clock.advance(1);
  expect(written).toEqual([[['not in sync'], remarks]]);
});

it('a fault during the start is written without the steps of the start', () => {
  const { written, state, report } = start();
  state.now = { broken: ['no API'], starting: ['not in sync'] };
  report.update();
  expect(written).toEqual([[['no API'], remarks]]);
});

it('after close the end of the start changes nothing', () => {
  const { clock, written, state, report } = start();
  state.now = { broken: [], starting: ['not in sync'] };
  report.update();
  report.close();
  clock.advance(START_MS);
  expect(written).toEqual([]);
});
