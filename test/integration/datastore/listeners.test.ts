import { expect, it } from 'vitest';
import { View } from '../../../agent/inputs/view.ts';
import { plainAddress } from '../../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { silentLog } from '../../../lib/log.ts';
import { systemTime } from '../../../lib/time.ts';
import { until } from '../../helpers/lab.ts';

it('an agent without its API server retries without warnings from Node', async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error) => void warnings.push(warning);
  process.on('warning', warned);
  let attempts = 0;
  const view = new View('n1', {
    time: systemTime,
    // Port 9 (discard): nothing listens there.
    client: new KubernetesClient(plainAddress('http://127.0.0.1:9'), { observe: () => void attempts++ }),
    log: silentLog,
    changed: () => undefined,
  });
  const abort = new AbortController();
  const running = view.run(abort.signal);
  await until('each watch has tried four times', 60_000, () => attempts > 64);
  abort.abort();
  await running;
  // Node emits warnings asynchronously.
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.off('warning', warned);
  expect(warnings).toEqual([]);
});
