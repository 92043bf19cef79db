/** Go durations, as Kubernetes and Calico write them: `90s`, `1m30s`, `250ms`. */

const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Maximum of Go's time.Duration: 2^63 - 1 nanoseconds, 292 years. */
const MAX_MS = (2 ** 63 - 1) / 1e6;

/** Milliseconds; undefined when the text is not a duration or exceeds Go's maximum. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, value, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    sum += Number(value) * (units[unit] ?? 0);
  return sum < MAX_MS ? sum : undefined;
}
