import { describe, expect, it } from 'vitest';
import { parseMethod } from '../../../../agent/inputs/autodetection-method.ts';
import { mustCidr } from '../../../../lib/cidr.ts';

/** Returns the patterns of a method, as text. */
function patterns(text: string): string[] {
  const method = parseMethod(text);
  if (typeof method === 'string' || !('patterns' in method)) throw new Error(`no patterns: ${text}`);
  return method.patterns.map(({ source }) => source);
}

describe('the method of autodetection', () => {
  it.each([
    ['first-found', { kind: 'first-found' }],
    ['kubernetes-internal-ip', { kind: 'kubernetes-internal-ip' }],
    ['can-reach=192.0.2.1', { kind: 'can-reach', destination: '192.0.2.1' }],
    ['can-reach=fe80::1%eth0', { kind: 'can-reach', destination: 'fe80::1%eth0' }],
    ['can-reach=www.example.org', { kind: 'can-reach', destination: 'www.example.org' }],
    [
      'cidr=10.0.0.0/8, 192.168.0.0/16',
      { kind: 'cidr', networks: [mustCidr('10.0.0.0/8'), mustCidr('192.168.0.0/16')] },
    ],
  ])('%s is understood', (text, method) => {
    expect(parseMethod(text)).toEqual(method);
  });

  it('matches whole names of interfaces, also with alternatives', () => {
    expect(patterns('interface=eth.*,eno1')).toEqual(['^(?:eth.*)$', '^(?:eno1)$']);
    const method = parseMethod('skip-interface=a|b');
    expect(typeof method !== 'string' && 'patterns' in method && method.patterns[0]?.test('ab')).toBe(false);
  });

  it.each([
    ['', 'must be first-found'],
    ['first-found=x', 'must be first-found'],
    ['kubernetes-internal-ip=', 'must be first-found'],
    ['frob=x', 'must be first-found'],
    ['interface', '"" is not a regular expression: write interface=eth.*,eno1'],
    ['interface=', '"" is not a regular expression'],
    ['skip-interface=eth0,', '"" is not a regular expression: write skip-interface='],
    ['interface=eth0,[', '"[" is not a regular expression'],
    ['can-reach', '"" is not an address or a host name'],
    ['can-reach=a b', '"a b" is not an address or a host name'],
    ['can-reach=-v', '"-v" is not an address or a host name'],
    [`can-reach=${'a'.repeat(254)}`, 'is not an address or a host name'],
    ['cidr=', '"" is not a network'],
    ['cidr=10.0.0.0/8,x', '"x" is not a network: write cidr='],
  ])('%s is refused with the remedy', (text, sentence) => {
    expect(parseMethod(text)).toContain(sentence);
  });
});
