import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../controllers/config.ts';

describe('the environment of cali-controllers', () => {
  it('has defaults: metrics for this host only, health for the kubelet', () => {
    expect(readConfig({})).toEqual({
      kubeconfig: undefined,
      logSeverity: 'info',
      health: { host: '0.0.0.0', port: 9095 },
      metrics: { host: '127.0.0.1', port: 9094 },
      reflectorNamespaces: ['kube-system'],
    });
  });

  it('sets each value', () => {
    expect(
      readConfig({
        KUBECONFIG: '/etc/kubeconfig',
        LOG_LEVEL: 'debug',
        HEALTH_PORT: '1',
        METRICS_HOST: '::',
        METRICS_PORT: '65535',
        POD_NAMESPACE: 'network',
        CALI_REFLECTOR_NAMESPACES: 'a,b',
      }),
    ).toMatchObject({
      kubeconfig: '/etc/kubeconfig',
      logSeverity: 'debug',
      health: { port: 1 },
      metrics: { host: '::', port: 65535 },
      reflectorNamespaces: expect.arrayContaining(['a', 'b']),
    });
  });

  it('looks for reflectors in its own namespace unless others are listed', () => {
    expect(readConfig({ POD_NAMESPACE: 'network' }).reflectorNamespaces).toEqual(['network']);
  });

  it.each([
    ['LOG_LEVEL', 'loud'],
    ['METRICS_HOST', 'example.org'],
    ['METRICS_PORT', '0'],
    ['HEALTH_PORT', '65536'],
    ['POD_NAMESPACE', 'Kube_System'],
    ['CALI_REFLECTOR_NAMESPACES', 'a,B!'],
  ])('names %s when its value is invalid: %s', (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(name);
  });
});
