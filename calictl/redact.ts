/**
 * Removes secrets from CNI configurations. The folder also has files of other programs, which may store secrets
 * anywhere. So only keys that are listed here keep their values, and only values in the known form.
 */

/** Replacement for removed values. */
export const CUT = '(redacted)';

type Form = (value: unknown) => boolean;
const matching =
  (pattern: RegExp): Form =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
const boolean: Form = (value) => typeof value === 'boolean' || value === 'true' || value === 'false';
const number: Form = (value) => typeof value === 'number' && value >= 0 && value <= 0xffff;
const address = matching(/^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7})(\/\d{1,3})?$/i);
const interfaceName = matching(/^[a-z][\w.-]{0,14}$/i);

/** Keys with a single value, from the CNI project's plugins, Calico's and ours, with the known form of the value. */
const SCALARS: ReadonlyMap<string, Form> = new Map<string, Form>([
  ['cniVersion', matching(/^\d{1,2}\.\d{1,2}\.\d{1,2}$/)],
  ['name', matching(/^[a-z0-9][a-z0-9._-]{0,62}$/)],
  ['type', matching(/^[a-z][a-z0-9-]{0,31}$/)],
  ...['subnet', 'rangeStart', 'rangeEnd', 'gateway', 'dst', 'gw', 'address'].map(entry(address)),
  ...['bridge', 'master', 'device'].map(entry(interfaceName)),
  ...['mtu', 'vlan', 'metric', 'num_queues'].map(entry(number)),
  ...['isGateway', 'isDefaultGateway', 'forceAddress', 'ipMasq', 'hairpinMode', 'promiscMode'].map(
    entry(boolean),
  ),
  ...['snat', 'masqAll', 'disableCheck', 'portMappings', 'bandwidth', 'ipRanges', 'mac'].map(entry(boolean)),
  ...['assign_ipv4', 'assign_ipv6'].map(entry(boolean)),
  ['log_level', matching(/^(debug|info|warning|warn|error|fatal|panic)$/i)],
  ['datastore_type', matching(/^(kubernetes|etcdv3)$/)],
  ['mode', matching(/^(bridge|private|vepa|passthru|l2|l3|l3s)$/)],
]);

/** Keys whose objects are searched, and also their lists and nested lists (`ranges`). */
const OBJECTS: ReadonlySet<string> = new Set([
  'plugins',
  'ipam',
  'ranges',
  'routes',
  'capabilities',
  'policy',
]);
/** More than any configuration has. */
const MAX_DEPTH = 8;

function entry(form: Form): (key: string) => [string, Form] {
  return (key) => [key, form];
}

/** Returns a configuration with only harmless values. The names of all keys stay. */
export function redact(value: unknown, depth = 0): unknown {
  if (depth > MAX_DEPTH || typeof value !== 'object' || value === null) return CUT;
  if (Array.isArray(value)) return value.map((inner) => redact(inner, depth + 1));
  const entries: [string, unknown][] = Object.entries(value);
  return Object.fromEntries(
    entries.map(([key, inner]) => {
      if (OBJECTS.has(key)) return [key, redact(inner, depth + 1)];
      return [key, SCALARS.get(key)?.(inner) ? inner : CUT];
    }),
  );
}

/** Returns the text of a CNI configuration without its secrets; a sentence when it is not JSON. */
export function redactConfiguration(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'This is not JSON, so secrets in it cannot be found: omitted.';
  }
  return JSON.stringify(redact(value), undefined, 2);
}
