import { beforeEach, describe, expect, it } from 'vitest';
import { LocalRoutes } from '../../../bgp/local-routes.ts';
import { attributesOf } from '../../../bgp/rib/attribute-values.ts';
import { LOCAL } from '../../../bgp/rib/source.ts';
import { TestRib } from '../../helpers/rib.ts';

let rib: TestRib;
let routes: LocalRoutes;
beforeEach(() => {
  rib = new TestRib();
  routes = new LocalRoutes(rib.ribs);
});

/** Returns the local routes of a family: prefix and LOCAL_PREF. */
function local(family: 4 | 6 = 4) {
  const { paths, prefixes, attributes } = rib.ribs[family];
  return [...rib.ribs[family].pathsOf(LOCAL)].map((path) => [
    prefixes.text(paths.prefix[path] ?? -1),
    attributesOf(attributes, paths.attributes[path] ?? -1).localPref,
  ]);
}

describe('the routes that a speaker originates', () => {
  it('are in the table of their family', () => {
    routes.set([{ prefix: '10.244.0.0/26' }, { prefix: 'fd00::/122', localPref: 90 }]);
    expect([local(4), local(6)]).toEqual([[['10.244.0.0/26', undefined]], [['fd00::/122', 90]]]);
  });

  it('are withdrawn when they are no longer wanted, and others stay', () => {
    routes.set([{ prefix: '10.244.0.0/26' }, { prefix: '10.244.0.64/26' }]);
    routes.set([{ prefix: '10.244.0.64/26' }]);
    expect(local()).toEqual([['10.244.0.64/26', undefined]]);
    routes.set([]);
    expect(local()).toEqual([]);
  });

  it('are announced once for each prefix, with the last preference', () => {
    routes.set([{ prefix: '10.244.0.0/26' }, { prefix: '10.244.0.0/26', localPref: 50 }]);
    expect(local()).toEqual([['10.244.0.0/26', 50]]);
    routes.set([{ prefix: '10.244.0.0/26' }]);
    expect(local()).toEqual([['10.244.0.0/26', undefined]]);
  });

  it('cause no change when they are set again', () => {
    routes.set([{ prefix: '10.244.0.0/26', localPref: 50 }]);
    rib.decide();
    routes.set([{ prefix: '10.244.0.0/26', localPref: 50 }]);
    expect(rib.rib.hasChanges).toBe(false);
  });

  it('do not replace routes of peers', () => {
    const peer = rib.source('10.0.0.2');
    rib.announce(peer, '10.244.0.0/26');
    routes.set([{ prefix: '10.244.0.0/26' }]);
    rib.decide();
    expect(rib.best('10.244.0.0/26')).toBe(LOCAL);
    routes.set([]);
    rib.decide();
    expect(rib.best('10.244.0.0/26')).toBe(peer);
  });
});
