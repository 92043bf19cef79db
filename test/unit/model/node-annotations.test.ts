import { describe, expect, it } from 'vitest';
import { Annotations } from '../../../model/node-annotations.ts';

const prefix = 'projectcalico.org/';
/** Reads an annotation of a node. Returns the value, or the reason of the problem. */
function read<T>(key: string, text: string, reader: (annotations: Annotations) => T): T | string | undefined {
  const annotations = new Annotations({ kind: 'Node', name: 'n' }, { [prefix + key]: text });
  const value = reader(annotations);
  const [problem] = annotations.problems;
  if (!problem) return value;
  expect(value === undefined || value === false).toBe(true);
  expect(problem.field).toBe(`metadata.annotations[${prefix}${key}]`);
  return problem.reason;
}

describe('the address of a node', () => {
  const address = (text: string, family: 4 | 6 = 4) =>
    read(`IPv${family}Address`, text, (one) => one.nodeAddress(`${prefix}IPv${family}Address`, family));

  it.each([
    ['10.0.0.5/24', 4, { address: '10.0.0.5', length: 24 }],
    ['10.0.0.5', 4, { address: '10.0.0.5', length: 32 }],
    ['FD00:0::5/64', 6, { address: 'fd00::5', length: 64 }],
    ['10.0.0.5/8', 4, { address: '10.0.0.5', length: 8 }],
  ] as const)('%s is read', (text, family, value) => {
    expect(address(text, family)).toEqual(value);
  });

  it.each([
    ['10.0.0.5/33', 4, /counts as absent: it must be an IPv4 address with its prefix length/],
    ['fd00::5/64', 4, /it must be an IPv4 address/],
    ['10.0.0.5/7', 4, /has a prefix length below 8/],
    ['fd00::5/15', 6, /has a prefix length below 16/],
    ['127.0.0.1/8', 4, /counts as absent/],
    ['0.0.0.0/8', 4, /counts as absent/],
    ['224.0.0.1/8', 4, /counts as absent/],
    ['::1/128', 6, /counts as absent/],
    [' 10.0.0.5/24', 4, /counts as absent/],
    ['$(reboot)', 4, /counts as absent/],
  ] as const)('%s is a problem', (text, family, reason) => {
    expect(address(text, family)).toMatch(reason);
  });
});

describe('other annotations', () => {
  it.each([
    ['64512', 64_512],
    ['1.10', 65_546],
    ['4294967295', 4_294_967_295],
  ])('the AS number %s is read', (text, value) => {
    expect(read('ASNumber', text, (one) => one.asNumber())).toBe(value);
  });

  it.each(['0', '4294967296', '-1', '1.65536', '0x10', '1e3', ' 1'])(
    'the AS number %j is a problem',
    (text) => {
      expect(read('ASNumber', text, (one) => one.asNumber())).toMatch(/it must be an AS number/);
    },
  );

  it.each([
    ['244.0.0.1', '244.0.0.1'],
    ['1', '0.0.0.1'],
    ['4294967295', '255.255.255.255'],
  ])('the cluster ID %s is %s', (text, value) => {
    expect(read('RouteReflectorClusterID', text, (one) => one.clusterId())).toBe(value);
  });

  it.each(['4294967296', 'fd00::1', '1.2.3', 'x'])('the cluster ID %s is a problem', (text) => {
    expect(read('RouteReflectorClusterID', text, (one) => one.clusterId())).toMatch(/must be a cluster ID/);
  });

  it('an absent or empty annotation is no problem', () => {
    expect(read('ASNumber', '', (one) => one.asNumber())).toBeUndefined();
    expect(read('Other', 'x', (one) => one.asNumber())).toBeUndefined();
  });

  it('names of JavaScript properties are not annotations', () => {
    const annotations = new Annotations({ kind: 'Node', name: 'n' }, {});
    expect(annotations.nodeAddress('constructor', 4)).toBeUndefined();
    expect(annotations.problems).toEqual([]);
  });

  it('long text is a problem that quotes only its start, without control characters', () => {
    const reason = String(read('ASNumber', `\u001b[2J${'1'.repeat(100_000)}`, (one) => one.asNumber()));
    expect(reason.length).toBeLessThan(300);
    expect(reason).not.toContain('\u001b');
  });

  it('a number of a hundred digits is no AS number', () => {
    expect(read('ASNumber', '1'.repeat(100), (one) => one.asNumber())).toMatch(/must be an AS number/);
  });
});

describe('the end of a tunnel', () => {
  const end = (texts: Record<string, string>) => {
    const annotations = new Annotations({ kind: 'Node', name: 'n' }, texts);
    return { end: annotations.tunnelEnd('vxlan4', 'n'), problems: annotations.problems.length };
  };
  const address = { [`${prefix}IPv4VXLANTunnelAddr`]: '10.244.0.1' };

  it('has a MAC address that follows from the name of the node, unless it is annotated', () => {
    const derived = end(address).end;
    expect(derived?.mac).toMatch(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
    expect(end(address).end).toEqual(derived);
    expect(end({ ...address, [`${prefix}VXLANTunnelMACAddr`]: '66:0A:1B:2C:3D:4E' }).end?.mac).toBe(
      '66:0a:1b:2c:3d:4e',
    );
  });

  it('keeps the derived MAC address when the annotated one is malformed', () => {
    const { end: kept, problems } = end({ ...address, [`${prefix}VXLANTunnelMACAddr`]: 'ff:ff:ff:ff:ff:ff' });
    expect(kept).toEqual(end(address).end);
    expect(problems).toBe(1);
  });

  it('is absent without an address', () => {
    expect(end({ [`${prefix}VXLANTunnelMACAddr`]: '66:0a:1b:2c:3d:4e' }).end).toBeUndefined();
  });
});
