/** The text that Prometheus scrapes. A metric that fails to collect is left out; the others are not affected. */
import type { Registry } from 'prom-client';
import type { Boundary } from './boundary.ts';
import type { HttpAnswer } from './http.ts';
import { writerOf } from './series.ts';

/** Collects all metrics in the same turn. Never rejects. */
export async function exposition(registry: Registry, boundary: Boundary): Promise<HttpAnswer> {
  const names = registry.getMetricsAsArray().map(({ name }) => name);
  const results = await Promise.allSettled(
    // An async function, so that a throw is the result of this metric only.
    names.map(async (name) => writerOf(registry, name)?.() ?? registry.getSingleMetricAsString(name)),
  );
  const texts = results.flatMap((result, index) => {
    const text = boundary.value(`metric ${names[index]}`, () => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
    return text ?? [];
  });
  return { code: 200, type: registry.contentType, body: `${texts.join('\n\n')}\n` };
}
