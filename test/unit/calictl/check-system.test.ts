import { describe, expect, it } from 'vitest';
import { isGood, kernelCheck, libraryCheck, renderChecks } from '../../../calictl/check-system.ts';

describe('the version of the kernel', () => {
  it.each(['5.2.0', '5.10.0-13-amd64', '5.15.167.4-microsoft-standard-WSL2', '6.0', '10.1.0'])(
    '%s is new enough',
    (release) => {
      expect(kernelCheck(release).problem).toBeUndefined();
    },
  );

  it.each(['5.1.21', '4.19.0', '3.10.0-1160.el7.x86_64', 'unknown', ''])('%s is too old', (release) => {
    expect(kernelCheck(release)).toMatchObject({
      isNeeded: true,
      problem: 'older than 5.2: use a newer kernel',
    });
  });

  it.each(['5.2-rc1', '5.4+'])('%s counts as the version that it names', (release) => {
    expect(kernelCheck(release).problem).toBeUndefined();
  });

  it.each(['5.1-rc1', '5.0+'])('%s is too old, whatever its suffix', (release) => {
    expect(kernelCheck(release).problem).toBeDefined();
  });
});

describe('the verdict on a machine', () => {
  const available = { name: 'veth', isNeeded: true, problem: undefined };
  const needed = { name: 'proxy ARP', isNeeded: true, problem: 'exit 1: mount /proc' };
  const optional = { name: 'VXLAN', isNeeded: false, problem: 'exit 2: load the module vxlan' };

  it('is good when only optional features are missing, and names them with the remedy', () => {
    expect(isGood([available, optional])).toBe(true);
    expect(renderChecks([available, optional])).toBe(
      [
        'Checking veth...                            OK',
        'Checking VXLAN...                           missing  (exit 2: load the module vxlan)',
        'System meets the requirements of a node.',
      ].join('\n'),
    );
  });

  it('is bad without koffi, through which the agent calls the kernel', () => {
    expect(isGood([libraryCheck(true)])).toBe(true);
    expect(isGood([available, libraryCheck(false)])).toBe(false);
    expect(renderChecks([libraryCheck(false)])).toMatch(/koffi\.\.\. +FAIL {2}\(install .* npm ci/);
  });

  it('is bad when a required feature is missing', () => {
    expect(isGood([available, needed])).toBe(false);
    const text = renderChecks([needed, available]);
    expect(text).toMatch(/proxy ARP\.\.\. +FAIL {2}\(exit 1: mount \/proc\)/);
    expect(text).toMatch(/does not meet the requirements of a node\.$/);
  });
});
