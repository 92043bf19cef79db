import { describe, expect, it } from 'vitest';
import { calicoNodeKind } from '../../../calictl/calico-node.ts';
import { kindNamed, resolveKind } from '../../../calictl/kinds.ts';
import { nodeKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';

describe('a kind on the command line', () => {
  it.each([
    ['IPPool', 'IPPool'],
    ['ippools', 'IPPool'],
    ['pools', 'IPPool'],
    ['bgpps', 'BGPPeer'],
    ['felixconfig', 'FelixConfiguration'],
    ['wep', 'WorkloadEndpoint'],
    ['nodestatus', 'CalicoNodeStatus'],
  ])('%s is %s, as in calicoctl', (name, kind) => {
    expect(kindNamed(name).kind).toBe(kind);
  });

  it('Node is the Node of Calico, not the core Node', () => {
    expect(kindNamed('node')).toBe(calicoNodeKind);
    expect(kindNamed('NOS')).toBe(calicoNodeKind);
  });

  it.each([
    ['gnp', 'Cali has no network policy'],
    ['heps', 'Cali does not protect host interfaces'],
    ['frob', 'try node, ippool'],
    ['constructor', 'try node, ippool'],
    ['__proto__', 'try node, ippool'],
    ['', 'try node, ippool'],
  ])('%s is refused with advice', (name, advice) => {
    expect(() => kindNamed(name)).toThrow(`resource type '${name}' is not supported: ${advice}`);
  });

  it('is quoted in full only up to a bound, without control characters', () => {
    let message = '';
    try {
      kindNamed(`\u001b[2J${'x'.repeat(10_000)}`);
    } catch (error) {
      message = String(error);
    }
    expect(message.length).toBeLessThan(400);
    expect(message).not.toContain('\u001b');
  });
});

describe('the kind of a document', () => {
  it('Node depends on apiVersion', () => {
    expect(resolveKind('Node', 'projectcalico.org/v3')).toBe(calicoNodeKind);
    expect(resolveKind('Node', 'v1')).toBe(nodeKind);
    expect(resolveKind('IPPool', 'projectcalico.org/v3')).toBe(ipPoolKind);
  });

  it.each([
    ['Node', 'projectcalico.org/v9', 'apiVersion is projectcalico.org/v9 but must be projectcalico.org/v3'],
    ['Node', 'v2', 'apiVersion is v2 but must be v1'],
    ['WorkloadEndpoint', 'v1', 'apiVersion is v1 but must be projectcalico.org/v3'],
    ['NetworkPolicy', 'projectcalico.org/v3', 'Cali has no network policy'],
    ['Frob', 'v1', 'unknown kind Frob'],
  ])('%s of %s is refused with the reason', (kind, apiVersion, reason) => {
    expect(resolveKind(kind, apiVersion)).toBe(reason);
  });
});
