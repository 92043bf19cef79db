import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAttachment } from '../../../cni/attachment.ts';
import { endpointFile, parseEndpoint } from '../../../cni/endpoint-file.ts';
import { assertNamespace } from '../../../cni/network.ts';
import { CniError, type CniRequest } from '../../../cni/types.ts';
import { namespaceAt } from '../../../kernel/namespace.ts';
import { isPlain } from '../../../lib/plain-text.ts';
import { anyText } from '../../helpers/any-text.ts';

const stdin = (more: object = {}) =>
  JSON.stringify({ cniVersion: '1.0.0', name: 'net', type: 'cali', ...more });
const request = (environment: Record<string, string>, text = stdin()): CniRequest => ({
  environment: {
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: '/run/netns/c1',
    CNI_IFNAME: 'eth0',
    ...environment,
  },
  stdin: text,
});
/** Returns the attachment, or the code and message of the refusal. */
const parse = (one: CniRequest, isNetnsNeeded = true) => {
  try {
    return parseAttachment(one, isNetnsNeeded);
  } catch (error) {
    expect(error).toBeInstanceOf(CniError);
    const { cniCode, message } = error as CniError;
    expect(isPlain(message)).toBe(true);
    expect(message.length).toBeLessThan(1500);
    return `${cniCode} ${message}`;
  }
};
const args = (text: string) => parse(request({ CNI_ARGS: text }));

describe('CNI variables', () => {
  it.each([
    '/run/netns/cni-1f2e',
    '/var/run/netns/0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0',
    '/var/run/docker/netns/abc',
    '/run/user/1000/netns/x',
    '/run/containerd/io.containerd.grpc.v1.cri/netns/cni-1f2e',
    '/var/run/crio/ns/0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0/net',
    '/var/snap/k8s/common/run/netns/cni-1',
    '/proc/4711/ns/net',
    '/proc/4711/task/4712/ns/net',
  ])('may name the network namespace %s', (netns) => {
    expect(parse(request({ CNI_NETNS: netns }))).toMatchObject({ netns });
  });

  it.each([
    'netns/x',
    '/proc/self/ns/net',
    '/proc/thread-self/ns/net',
    '/proc/sys/net/ipv4/ip_forward',
    '/run//netns/a',
    '/run/./netns/a',
    '/proc/1/ns/mnt',
    '/run/netns/../../etc/shadow',
    '/run/netns/a b',
    '/run/netns/a\nnetns add x',
    '/run/netns/a"; id #',
    `/run/netns/${'a'.repeat(4096)}`,
    '/run/netns/',
    '/run/netns/.',
  ])('must not name the network namespace %j', (netns) => {
    expect(parse(request({ CNI_NETNS: netns }))).toMatch(/^4 CNI_NETNS /);
    // DEL must succeed even if the namespace is gone.
    expect(parse(request({ CNI_NETNS: netns }), false)).toMatchObject({ netns: '' });
  });

  it.each(['../x', 'a b', 'a/b', '', '.', 'a'.repeat(129), 'a\0b', 'ä', '-rf'])(
    'with container ID %j are refused',
    (id) => {
      expect(parse(request({ CNI_CONTAINERID: id }))).toMatch(/^4 CNI_CONTAINERID /);
    },
  );

  it.each(['a b', 'a/b', '..', '.', 'a:b', 'sixteen-letters!', 'a\u0001', 'é', '#x', '"', '-x'])(
    'with interface name %j are refused',
    (name) => {
      expect(parse(request({ CNI_IFNAME: name }))).toMatch(/^4 CNI_IFNAME /);
    },
  );

  it('name a pod or no pod', () => {
    expect(args('')).toMatchObject({ pod: undefined });
    expect(args('IgnoreUnknown=1')).toMatchObject({ pod: undefined });
    expect(
      args('IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0.x;K8S_POD_UID=u'),
    ).toMatchObject({
      pod: { namespace: 'default', name: 'web-0.x' },
    });
  });

  it.each([
    'K8S_POD_NAME=web-0',
    'K8S_POD_NAMESPACE=default',
    'K8S_POD_NAMESPACE=default;K8S_POD_NAME=a;K8S_POD_NAME=b',
    'K8S_POD_NAMESPACE=default;K8S_POD_NAME=../secrets/x',
    'K8S_POD_NAMESPACE=default;K8S_POD_NAME=A',
    'K8S_POD_NAMESPACE=a.b;K8S_POD_NAME=a',
    'K8S_POD_NAMESPACE=__proto__;K8S_POD_NAME=a',
    `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${'a'.repeat(254)}`,
    `K8S_POD_NAMESPACE=${'a'.repeat(64)};K8S_POD_NAME=a`,
    `X=${'a'.repeat(5000)}`,
  ])('with arguments %j are refused', (text) => {
    expect(args(text)).toMatch(/^4 (K8S_POD|CNI_ARGS )/);
  });

  it('are parsed or refused for any text', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_ARGS', '__proto__'),
          anyText(),
        ),
        fc.oneof(fc.string(), fc.json({ maxDepth: 5 })),
        (environment, text) => {
          parse(request(environment, text));
          parse(request(environment));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('the path in CNI_NETNS', () => {
  it.each([
    ['/etc/passwd', /is not a namespace/],
    ['/run', /is not a namespace/],
    ['/run/netns/cali-test-gone', /does not exist/],
    ['/etc/passwd/x', /does not exist/],
    ['/proc/self/ns/net', /own network namespace/],
  ])('is refused when it is %s', (netns, sentence) => {
    expect(() => assertNamespace(netns, { namespaceAt })).toThrow(sentence);
  });

  it('is refused when it is a loop of symbolic links', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'cali-netns-'));
    const loop = path.join(folder, 'loop');
    symlinkSync(loop, loop);
    try {
      expect(() => assertNamespace(loop, { namespaceAt })).toThrow(/is not a namespace/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('a network configuration', () => {
  it.each<[object, RegExp]>([
    [{ name: 'a b' }, /^7 .*name/],
    [{ name: 'a'.repeat(129) }, /^7 .*name/],
    [{ mtu: 67 }, /^7 .*mtu: must be at least 68/],
    [{ mtu: 65536 }, /^7 .*mtu/],
    [{ mtu: 1e300 }, /^7 .*mtu/],
    [{ mtu: '1500; id' }, /^7 .*mtu: must be 0 or 68 to 65535/],
    [{ ipam: { assign_ipv4: 'maybe' } }, /^7 .*assign_ipv4/],
    [{ ipam: { ipv4_pools: Array(101).fill('p') } }, /^7 .*ipv4_pools/],
    [{ ipam: { ipv4_pools: [{}] } }, /^7 .*ipv4_pools/],
    [{ cniVersion: '1.0.0\u001b[2J' }, /^1 cniVersion/],
    [{ prevResult: 'x' }, /^7 .*prevResult: must be an object, not a string/],
  ])('with %j is refused, and the field is named', (more, sentence) => {
    expect(parse(request({}, stdin(more)))).toMatch(sentence);
  });

  it('of 100,000 levels is refused or parsed without a crash', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    expect(parse(request({}, deep))).toMatch(/^7 /);
    expect(parse(request({}, stdin().replace('}', `,"x":${deep}}`)))).toMatchObject({ containerId: 'c1' });
  });
});

describe('an endpoint file', () => {
  const endpoint = {
    containerId: 'c1',
    containerInterface: 'eth0',
    network: 'net',
    interfaceName: 'cali0123456789a',
    mac: '02:00:00:00:00:01',
    mtu: 1500,
    addresses: ['10.244.0.1', 'fd00::1'],
    netns: '/run/netns/c1',
    namespace: 'default',
    pod: 'web-0',
  };
  const file = endpointFile(endpoint);

  it('is read back as it was written', () => {
    expect(parseEndpoint(file, JSON.stringify(endpoint))).toEqual(endpoint);
    const upper = { ...endpoint, addresses: ['FD00::1'], mac: '02-00-00-00-00-0A' };
    expect(parseEndpoint(file, JSON.stringify(upper))).toMatchObject({
      addresses: ['fd00::1'],
      mac: '02:00:00:00:00:0a',
    });
  });

  it.each<[string, object]>([
    ['interfaceName', { interfaceName: 'eth0' }],
    ['interfaceName', { interfaceName: 'cali0\nlink del eth0' }],
    ['mac', { mac: '02:00:00:00:00:01 dev lo' }],
    ['addresses', { addresses: ['10.0.0.1/24'] }],
    ['addresses', { addresses: ['10.0.0.1\n'] }],
    ['containerInterface', { containerInterface: '../x' }],
    ['mtu', { mtu: '1500' }],
    ['netns', { netns: '/run/netns/a\nb' }],
    ['c2', { containerId: 'c2' }],
  ])('with a wrong %s is refused', (field, change) => {
    expect(() => parseEndpoint(file, JSON.stringify({ ...endpoint, ...change }))).toThrow(field);
  });

  it.each(['', '{', 'null', '[]', '"x"', '{"__proto__":{}}'])('with the content %j is refused', (text) => {
    expect(() => parseEndpoint(file, text)).toThrow();
  });
});
