import { expect, it } from 'vitest';
import type { PathView } from '../../../bgp/routes-view.ts';
import { renderRoutes } from '../../../calictl/bgp.ts';

type Segments = PathView['attributes']['asPath'];

function row(asPath: Segments, origin: 0 | 1 | 2): string | undefined {
  const attributes = { origin, asPath, nextHop: '10.0.0.2', localPref: 100 };
  const path = {
    from: '10.0.0.2',
    pathId: 0,
    attributes,
    isUsable: true,
    isBest: true,
    isStale: false,
    reason: 'best',
  };
  const table = renderRoutes([{ prefix: '10.1.0.0/24', paths: [path] }]).split('\n');
  const from = table[0]!.indexOf('AS PATH');
  return table[1]?.slice(from, table[0]!.indexOf('WHY')).trimEnd();
}

it.each<[string, Segments, 0 | 1 | 2, RegExp]>([
  ['shows an empty path as empty, and the origin in its own column', [], 0, /^ +IGP$/],
  ['shows a sequence as numbers', [{ type: 2, asNumbers: [65001, 65002] }], 2, /^65001 65002 +incomplete$/],
  ['shows a set in braces', [{ type: 1, asNumbers: [65001, 65002] }], 1, /^\{65001 65002\} +EGP$/],
  ['shows a confederation in parentheses', [{ type: 3, asNumbers: [65001] }], 0, /^\(65001\) +IGP$/],
])('calictl bgp routes %s', (_, asPath, origin, text) => {
  expect(row(asPath, origin)).toMatch(text);
});
