/** The ValidatingAdmissionPolicy of the agent, evaluated as Kubernetes does it over requests of its token. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { evaluate } from '@marcbachmann/cel-js';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { allowed, type Request, refused } from './deploy-admission.cases.ts';

interface Expression {
  readonly name: string;
  readonly expression: string;
  readonly message: string;
}
interface Policy {
  readonly spec: {
    readonly matchConstraints: {
      readonly resourceRules: readonly {
        readonly operations: readonly string[];
        readonly resources: readonly string[];
      }[];
    };
    readonly matchConditions: readonly Expression[];
    readonly variables: readonly Expression[];
    readonly validations: readonly Expression[];
  };
}
const file = path.resolve(import.meta.dirname, '../../deploy/overlays/admission/policy.yaml');
const { spec } = parseAllDocuments(readFileSync(file, 'utf8'))[0]!.toJS() as Policy;

/** CEL has 64-bit integers where JavaScript has numbers. */
const celValue = (value: unknown): unknown => {
  if (typeof value === 'number') return BigInt(value);
  if (Array.isArray(value)) return value.map(celValue);
  if (typeof value !== 'object' || value === null) return value;
  const present = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(present.map(([key, inner]) => [key, celValue(inner)]));
};

/** Messages of the rules that refuse a request; undefined where the policy does not look at it. */
function refusals(asked: Request): string[] | undefined {
  const {
    resource,
    operation = 'UPDATE',
    old,
    object,
    user = 'kube-system:cali-node',
    hasExtra = true,
  } = asked;
  const node = 'node' in asked ? asked.node : 'a';
  const [plural, subResource] = resource.split('/');
  const isMatched = spec.matchConstraints.resourceRules.some(
    (rule) => rule.resources.includes(resource) && rule.operations.includes(operation),
  );
  if (!isMatched) return undefined;
  const extra = node === undefined ? {} : { 'authentication.kubernetes.io/node-name': [node] };
  const variables: Record<string, unknown> = {};
  const context = {
    request: {
      operation,
      resource: { resource: plural },
      // Go leaves empty fields out.
      ...(subResource ? { subResource } : {}),
      userInfo: { username: `system:serviceaccount:${user}`, ...(hasExtra ? { extra } : {}) },
    },
    object: celValue(object ?? null),
    oldObject: celValue(old ?? null),
    variables,
  };
  const value = (expression: string): unknown => evaluate(expression, context);
  if (!spec.matchConditions.every(({ expression }) => value(expression) === true)) return undefined;
  for (const { name, expression } of spec.variables) variables[name] = value(expression);
  return spec.validations.flatMap(({ expression, message }) => (value(expression) === true ? [] : [message]));
}

describe('the admission policy of cali-node', () => {
  it.each(allowed)('allows %s', (_, request) => {
    expect(refusals(request)).toEqual([]);
  });

  it.each(refused)('refuses %s', (_, message, request) => {
    expect(refusals(request)!.join('\n')).toMatch(message);
  });

  it.each(['kube-system:other', 'default:cali-node'])('ignores writes by %s', (user) => {
    for (const [, , request] of refused) expect(refusals({ ...request, user })).toBeUndefined();
  });

  it.each(spec.validations)('has a test case for "$message"', ({ message }) => {
    const said = refused.flatMap(([, , request]) => refusals(request) ?? []);
    expect(said).toContain(message);
  });
});
