import { expect, it } from 'vitest';
import { warningsAbout } from '../../../calictl/warnings.ts';
import { ipamConfigurationKind } from '../../../datastore/schema/ipam.ts';

const configuration = (spec: object) => ({
  apiVersion: 'projectcalico.org/v3',
  kind: 'IPAMConfiguration',
  metadata: { name: 'default' },
  spec,
});

it('a field without effect has a warning with its object, unless its value asks for nothing', () => {
  expect(warningsAbout(ipamConfigurationKind, configuration({ ipCooldownSeconds: 60 }))).toEqual([
    expect.stringMatching(/^Warning: IPAMConfiguration default: .*ipCooldownSeconds/),
  ]);
  expect(warningsAbout(ipamConfigurationKind, configuration({ ipCooldownSeconds: 0 }))).toEqual([]);
  expect(warningsAbout(ipamConfigurationKind, configuration({ strictAffinity: true }))).toEqual([]);
});
