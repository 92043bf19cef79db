import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Informer } from '../../../datastore/informer.ts';
import { plainAddress } from '../../../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { silentLog } from '../../../lib/log.ts';
import { systemTime } from '../../../lib/time.ts';
import { HostileApi } from '../../helpers/hostile-api.ts';
import { until } from '../../helpers/lab.ts';

const PATIENCE_MS = 150_000;

let api: HostileApi;
let abort: AbortController;
beforeEach(async () => {
  api = await HostileApi.start();
  abort = new AbortController();
});
afterEach(async () => {
  abort.abort();
  await api.close();
});

const pool = (name: string, spec: object) => ({
  apiVersion: 'projectcalico.org/v3',
  kind: 'IPPool',
  metadata: { name },
  spec,
});

/** Starts an informer of IPPools, and waits until it has listed and watches. */
async function follow() {
  const changes: string[] = [];
  const informer = new Informer(
    { definition: ipPoolKind },
    {
      time: systemTime,
      client: new KubernetesClient(plainAddress(api.url)),
      log: silentLog,
      events: {
        changed: (key, object) => {
          changes.push(`${key} ${object?.spec.cidr}`);
          if (key === 'thrower') throw new Error('a handler failed');
        },
        synced: () => undefined,
      },
    },
  );
  void informer.run(abort.signal);
  await until('it watches', PATIENCE_MS, () => api.watches(ipPoolKind) === 1);
  const cidrs = () => Object.fromEntries([...informer.objects].map(([key, { spec }]) => [key, spec.cidr]));
  /** Waits until the informer has processed all earlier events. */
  const settled = async () => {
    const cidr = `10.255.${Math.floor(Math.random() * 256)}.0/24`;
    api.put(ipPoolKind, pool('last', { cidr }));
    await until('the last pool is there', PATIENCE_MS, () => cidrs()['last'] === cidr);
    api.remove(ipPoolKind, 'last');
    await until('it has gone', PATIENCE_MS, () => cidrs()['last'] === undefined);
  };
  return { informer, changes, cidrs, settled };
}

describe('a watch', () => {
  it('keeps the last good version of an object that becomes unreadable, and names it until corrected', async () => {
    api.put(ipPoolKind, pool('p', { cidr: '10.1.0.0/16' }));
    const { informer, cidrs, settled, changes } = await follow();
    api.put(ipPoolKind, pool('p', { cidr: '10.1.0.0/33' }));
    await settled();
    expect(cidrs()).toEqual({ p: '10.1.0.0/16' });
    expect(informer.problems.get('p')).toMatchObject({
      isAbsent: false,
      problem: { kind: 'IPPool', name: 'p', field: 'spec.cidr' },
    });
    expect(changes.filter((one) => one.startsWith('p '))).toEqual(['p 10.1.0.0/16']);
    api.put(ipPoolKind, pool('p', { cidr: '10.2.0.0/16' }));
    await settled();
    expect(cidrs()).toEqual({ p: '10.2.0.0/16' });
    expect(informer.problems.size).toBe(0);
  });

  it('forgets the problem of an object that is deleted', async () => {
    api.put(ipPoolKind, pool('p', { cidr: 'x' }));
    const { informer, cidrs, settled } = await follow();
    expect(cidrs()).toEqual({});
    expect(informer.problems.get('p')?.isAbsent).toBe(true);
    api.remove(ipPoolKind, 'p');
    await settled();
    expect(informer.problems.size).toBe(0);
  });

  it.each<[string, string | Buffer]>([
    ['a line that is not JSON', 'what?\n'],
    ['half a line of HTML', '<html>\n<body>502 Bad Gateway</body>\n'],
    ['null', 'null\n'],
    ['a number', '7\n'],
    ['an event without an object', '{"type":"ADDED"}\n'],
    ['an event whose type is not a string', '{"type":7,"object":{}}\n'],
    ['an event of an unknown type', '{"type":"RENAMED","object":{"metadata":{"name":"x"}}}\n'],
    ['an object without metadata', '{"type":"MODIFIED","object":{"kind":"IPPool"}}\n'],
    ['null metadata', '{"type":"DELETED","object":{"kind":"IPPool","metadata":null}}\n'],
    ['a numeric name', '{"type":"ADDED","object":{"kind":"IPPool","metadata":{"name":7}}}\n'],
    ['an object of another kind', '{"type":"DELETED","object":{"kind":"Node","metadata":{"name":"p"}}}\n'],
    ['a bookmark without metadata', '{"type":"BOOKMARK","object":{"kind":"IPPool"}}\n'],
    ['a bookmark without an object', '{"type":"BOOKMARK"}\n'],
    ['an ERROR that is not a Status', '{"type":"ERROR","object":["x"]}\n'],
    ['a null ERROR', '{"type":"ERROR","object":null}\n'],
    [
      'prototype names',
      '{"type":"ADDED","object":{"kind":"IPPool","metadata":{"name":"__proto__"},"__proto__":{"a":1}}}\n',
    ],
    ['a numeric resourceVersion', '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":3}}}\n'],
    [
      'a resourceVersion that is a list',
      '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":[3]}}}\n',
    ],
    ['octets that are not UTF-8', Buffer.from('{"type":"ADDED","object":"\xff\xfe\xc0"}\n', 'latin1')],
    [
      'ten million characters without a line break',
      `{"type":"ADDED","object":"${'x'.repeat(10_000_000)}"}\n`,
    ],
  ])('continues after %s', async (_, line) => {
    api.put(ipPoolKind, pool('p', { cidr: '10.1.0.0/16' }));
    const { cidrs, settled } = await follow();
    await api.send(ipPoolKind, line);
    api.put(ipPoolKind, pool('q', { cidr: '10.2.0.0/16' }));
    await settled();
    expect(cidrs()).toEqual({ p: '10.1.0.0/16', q: '10.2.0.0/16' });
    expect(Object.prototype).not.toHaveProperty('a');
  });

  it('decodes characters that are split across packets', async () => {
    const { cidrs, informer, settled } = await follow();
    const object = { ...pool('é', { cidr: '10.3.0.0/16' }), status: { text: '€'.repeat(1000) } };
    const line = Buffer.from(`${JSON.stringify({ type: 'ADDED', object })}\n`);
    await api.send(ipPoolKind, ...[...line].map((octet) => Buffer.from([octet])));
    await settled();
    expect(cidrs()).toEqual({ é: '10.3.0.0/16' });
    expect(informer.objects.get('é')?.status?.['text']).toBe('€'.repeat(1000));
  });

  it('survives a handler that throws', async () => {
    const { cidrs, settled } = await follow();
    api.put(ipPoolKind, pool('thrower', { cidr: '10.4.0.0/16' }));
    await settled();
    expect(cidrs()).toEqual({ thrower: '10.4.0.0/16' });
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['a page of HTML', '<html>'],
    ['null', 'null'],
    ['a list without items', '{"metadata":{"resourceVersion":"1"}}'],
    ['items that are not a list', '{"metadata":{"resourceVersion":"1"},"items":{}}'],
    ['a list without resourceVersion', '{"metadata":{},"items":[]}'],
  ])('waits for a valid list when the server answers with %s', async (_, body) => {
    api.put(ipPoolKind, pool('p', { cidr: '10.1.0.0/16' }));
    let lies = 3;
    api.intercept = (_request, response) => {
      if (lies-- <= 0) return false;
      response.writeHead(200).end(body);
      return true;
    };
    const { cidrs, informer } = await follow();
    expect(lies).toBeLessThan(0);
    await until('no error is left', PATIENCE_MS, () => informer.staleReason === undefined);
    expect(cidrs()).toEqual({ p: '10.1.0.0/16' });
  });
});

describe('a list', () => {
  it('contains the readable objects and names the others', async () => {
    api.put(ipPoolKind, pool('good', { cidr: '10.1.0.0/16' }));
    api.put(ipPoolKind, pool('bad', { cidr: '10.99.0.0/33' }));
    const client = new KubernetesClient(plainAddress(api.url));
    const { items, problems } = await client.listing(ipPoolKind);
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['good']);
    expect(problems).toMatchObject([{ kind: 'IPPool', name: 'bad', field: 'spec.cidr' }]);
    await expect(client.get(ipPoolKind, 'bad')).rejects.toMatchObject({ code: 'INVALID' });
  });
});
