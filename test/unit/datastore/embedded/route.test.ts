import { describe, expect, it } from 'vitest';
import { parseRoute } from '../../../../datastore/embedded/route.ts';

const parsed = (path: string) => {
  const route = parseRoute(path);
  return route && [route.definition.kind, route.namespace, route.name, route.isStatus];
};

describe('the path of a request', () => {
  it.each([
    ['/api/v1/nodes', ['Node', '', undefined, false]],
    ['/api/v1/nodes/n1', ['Node', '', 'n1', false]],
    ['/api/v1/nodes/n1/status', ['Node', '', 'n1', true]],
    ['/api/v1/pods', ['Pod', '', undefined, false]],
    ['/api/v1/namespaces/default/pods', ['Pod', 'default', undefined, false]],
    ['/api/v1/namespaces/default/pods/p%2Fq', ['Pod', 'default', 'p/q', false]],
    ['/api/v1/namespaces/default', ['Namespace', '', 'default', false]],
    ['/apis/crd.projectcalico.org/v1/ippools/p/', ['IPPool', '', 'p', false]],
  ])('%s names a kind, a namespace, an object and a part of it', (path, expected) => {
    const route = parsed(path.replace('crd.projectcalico.org/v1', 'projectcalico.org/v3'));
    expect(route).toEqual(expected);
  });

  it.each([
    ['of another group', '/apis/apps/v1/deployments'],
    ['of another version', '/api/v2/nodes'],
    ['of no group', '/v1/nodes'],
    ['of a kind that is not in a namespace', '/api/v1/namespaces/default/nodes/n1'],
    ['of an object in no namespace', '/api/v1/pods/p'],
    ['of another subresource', '/api/v1/namespaces/default/pods/p/log'],
    ['with more behind it', '/api/v1/nodes/n1/status/x'],
    ['with an escape that is cut off', '/api/v1/nodes/%E0%A4%A'],
    ['that is empty', ''],
    ['of a property of JavaScript', '/api/v1/constructor'],
  ])('%s is not served', (_, path) => {
    expect(parsed(path)).toBeUndefined();
  });
});
