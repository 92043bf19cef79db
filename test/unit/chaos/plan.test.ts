/** The plan of chaos and its judgement of logs; the run itself is test/system/chaos.test.ts. */
import { describe, expect, it } from 'vitest';
import { expected, unexplained } from '../../chaos/log-lines.ts';
import {
  type Action,
  after,
  describeAction,
  LIMITS,
  type Model,
  modelOf,
  nextAction,
  removals,
  repairs,
} from '../../chaos/plan.ts';
import { Random } from '../../fuzz/random.ts';

const NODES = ['node1', 'node2', 'node3'];

function walk(seed: number, steps: number, visit: (model: Model, action: Action) => void = () => undefined) {
  const random = new Random(seed);
  let model = modelOf(NODES);
  for (let i = 0; i < steps; i++) {
    const action = nextAction(model, random);
    visit(model, action);
    model = after(model, action);
  }
  return model;
}

const linesOf = (seed: number) => {
  const lines: string[] = [];
  walk(seed, 200, (_, action) => lines.push(describeAction(action)));
  return lines;
};

describe('the chaos plan', () => {
  it('is the same for the same seed, and differs for another one', () => {
    expect(linesOf(1)).toEqual(linesOf(1));
    expect(linesOf(1)).not.toEqual(linesOf(2));
  });

  it('contains every kind of action, and none that needs a component that is down', () => {
    const kinds = new Set<string>();
    for (let seed = 0; seed < 20; seed++)
      walk(seed, 500, (model, action) => {
        kinds.add(action.do);
        const isOfApi = !['agent', 'api', 'disturb', 'mend'].includes(action.do);
        if (isOfApi || (action.do === 'agent' && action.verb === 'start'))
          expect(model.isApiUp, describeAction(action)).toBe(true);
        const place = 'node' in action ? model.nodes.get(action.node) : undefined;
        if (action.do === 'pod add' || action.do === 'pod add interrupted')
          expect(place).toMatchObject({ isUp: true });
        if (action.do === 'disturb') expect(place?.disturbed).toBeUndefined();
        expect(model.pods.size).toBeLessThanOrEqual(LIMITS.pods);
        expect(model.pools.size).toBeLessThanOrEqual(LIMITS.pools);
        expect(model.nodes.size).toBeLessThanOrEqual(NODES.length + LIMITS.guests);
      });
    expect([...kinds].sort()).toEqual([
      'agent',
      'api',
      'disturb',
      'mend',
      'node add',
      'node delete',
      'pod add',
      'pod add interrupted',
      'pod delete',
      'pool add',
      'pool delete',
      'pool switch',
    ]);
  });

  it('repairs everything that is down, and then removes everything that was created', () => {
    for (let seed = 0; seed < 20; seed++) {
      const mended = repairs(walk(seed, 100)).reduce(after, walk(seed, 100));
      expect(mended.isApiUp).toBe(true);
      expect([...mended.nodes.values()].every(({ isUp, disturbed }) => isUp && !disturbed)).toBe(true);
      const left = removals(mended).reduce(after, mended);
      expect(left).toMatchObject({ pods: new Map(), pools: new Map() });
      expect([...left.nodes.keys()]).toEqual(NODES);
    }
  });
});

describe('log lines', () => {
  const line = (level: number, msg: string, more: object = {}) =>
    JSON.stringify({ level, time: 1, name: 'cali-node', node: 'node1', ...more, msg });

  it('above info level are reported unless an explanation matches, and so are lines that are not JSON', () => {
    const text = [
      line(30, 'running'),
      line(40, 'watch interrupted', {
        watch: 'pods',
        reason: 'http://172.18.0.1:6443: connect ECONNREFUSED',
      }),
      line(40, 'watch interrupted', { watch: 'pods', reason: 'forbidden' }),
      line(50, 'nftables', { reason: 'x' }),
      'TypeError: x is undefined',
      '',
    ].join('\n');
    expect(unexplained(text)).toEqual([
      'cali-node: watch interrupted {"node":"node1","watch":"pods","reason":"forbidden"}',
      'cali-node: nftables {"node":"node1","reason":"x"}',
      'not JSON: TypeError: x is undefined',
    ]);
  });

  it('have explanations that are sentences, with patterns that match only what they describe', () => {
    for (const { pattern, because } of expected) {
      expect(because.length).toBeGreaterThan(10);
      expect(pattern.source.startsWith('^'), String(pattern)).toBe(true);
      expect(pattern.test('cali-node: agent crashed {}')).toBe(false);
    }
  });
});
