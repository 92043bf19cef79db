/** Evaluates the `x-kubernetes-validations` of a schema as the API server does, including its IP address functions. */
import { Environment } from '@marcbachmann/cel-js';
import { type Cidr, contains, formatCidr, networkOf, parseAddress, parseCidr } from '../../lib/cidr.ts';

export interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema;
  readonly description?: string;
  readonly maxItems?: number;
  readonly 'x-kubernetes-validations'?: readonly CelRule[];
}
interface CelRule {
  readonly rule: string;
  readonly message: string;
}

/** The API server's types net.CIDR and net.IP. */
class CidrValue {
  readonly cidr: Cidr;
  constructor(cidr: Cidr) {
    this.cidr = cidr;
  }
}
class IpValue {
  readonly family: bigint;
  constructor(family: number) {
    this.family = BigInt(family);
  }
}
const mustParse = (text: string) => {
  const cidr = text.includes('/') ? parseCidr(text) : undefined;
  if (!cidr) throw new Error(`"${text}" is not a CIDR`);
  return cidr;
};

const mustAddress = (text: string) => {
  const address = parseAddress(text);
  if (!address) throw new Error(`"${text}" is not an IP address`);
  return address;
};

const environment = new Environment({ unlistedVariablesAreDyn: true })
  .registerType('CidrValue', { ctor: CidrValue, fields: {} })
  .registerType('IpValue', { ctor: IpValue, fields: {} })
  .registerFunction('isCIDR(string): bool', (text: string) => text.includes('/') && !!parseCidr(text))
  .registerFunction('isIP(string): bool', (text: string) => !!parseAddress(text))
  .registerFunction('ip(string): IpValue', (text: string) => new IpValue(mustAddress(text).family))
  .registerFunction('cidr(string): CidrValue', (text: string) => new CidrValue(mustParse(text)))
  .registerFunction('CidrValue.masked(): CidrValue', ({ cidr }: CidrValue) => new CidrValue(networkOf(cidr)))
  .registerFunction('CidrValue.prefixLength(): int', ({ cidr }: CidrValue) => BigInt(cidr.length))
  .registerFunction('CidrValue.ip(): IpValue', ({ cidr }: CidrValue) => new IpValue(cidr.family))
  .registerFunction('IpValue.family(): int', ({ family }: IpValue) => family)
  .registerFunction('CidrValue.containsCIDR(string): bool', ({ cidr }: CidrValue, text: string) =>
    contains(networkOf(cidr), networkOf(mustParse(text))),
  )
  .registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, to),
  )
  .registerOperator(
    'CidrValue == CidrValue',
    (a: CidrValue, b: CidrValue) => formatCidr(a.cidr) === formatCidr(b.cidr),
  );

/** Returns the messages of the rules that a value breaks. A rule with `oldSelf` applies only if an old value exists. */
export function brokenRules(schema: JsonSchema, self: unknown, oldSelf: unknown): string[] {
  if (self === undefined || self === null) return [];
  const own = (schema['x-kubernetes-validations'] ?? []).filter(
    ({ rule }) => !(rule.includes('oldSelf') && oldSelf === undefined),
  );
  const context = { self: celValue(self), oldSelf: celValue(oldSelf ?? null) };
  const broken = own.flatMap(({ rule, message }) =>
    environment.evaluate(rule, context) === true ? [] : [message],
  );
  const member = (value: unknown, key: string) => (value as Record<string, unknown> | undefined)?.[key];
  const below = Array.isArray(self)
    ? self.flatMap((one) => (schema.items ? brokenRules(schema.items, one, undefined) : []))
    : Object.entries(schema.properties ?? {}).flatMap(([key, inner]) =>
        typeof self === 'object' ? brokenRules(inner, member(self, key), member(oldSelf, key)) : [],
      );
  return [...broken, ...below];
}

/** Returns, per rule, how many values of one object it may judge; Infinity below a map or a list without maxItems. */
export function ruleSizes(schema: JsonSchema, count: number): number[] {
  const { properties = {}, items, additionalProperties, maxItems = Infinity } = schema;
  return [
    ...(schema['x-kubernetes-validations'] ?? []).map(() => count),
    ...Object.values(properties).flatMap((inner) => ruleSizes(inner, count)),
    ...(items ? ruleSizes(items, count * maxItems) : []),
    ...(typeof additionalProperties === 'object' ? ruleSizes(additionalProperties, Infinity) : []),
  ];
}

/** Returns every rule of a schema, nested ones included. */
export function allRules(schema: JsonSchema): CelRule[] {
  const inner = [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties];
  return [
    ...(schema['x-kubernetes-validations'] ?? []),
    ...inner.flatMap((one) => (typeof one === 'object' ? allRules(one) : [])),
  ];
}

/** Converts numbers to bigint, which the evaluator maps to CEL's 64-bit integers. */
function celValue(value: unknown): unknown {
  if (typeof value === 'number') return BigInt(value);
  if (Array.isArray(value)) return value.map(celValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, celValue(inner)]));
}
