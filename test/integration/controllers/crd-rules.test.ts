/** The validation rules that cali-controllers add to CRDs, against a server with the three requests that they use. */
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { CrdRules } from '../../../controllers/crd-rules.ts';
import { KubernetesClient } from '../../../datastore/kubernetes/client.ts';
import { silentLog } from '../../../lib/log.ts';
import { systemTime } from '../../../lib/time.ts';

interface Crd {
  metadata: { name: string; resourceVersion?: string };
  spec: { versions: { schema: { openAPIV3Schema: { properties: Record<string, object> } } }[] };
}

const folder = path.resolve(import.meta.dirname, '../../../deploy/crds');
const manifests = readdirSync(folder)
  .filter((file) => file.startsWith('projectcalico.org_'))
  .map((file) => parse(readFileSync(path.join(folder, file), 'utf8')) as Crd);

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** An API server of this minor version with the CRDs of the manifests. */
async function server(minor: string) {
  const crds = new Map(
    manifests.map((crd) => [
      crd.metadata.name,
      { ...structuredClone(crd), metadata: { name: crd.metadata.name, resourceVersion: '1' } },
    ]),
  );
  const requests: string[] = [];
  const serve = async (request: http.IncomingMessage, response: http.ServerResponse) => {
    requests.push(`${request.method} ${request.url}`);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const name = request.url!.split('/').at(-1)!;
    const crd = crds.get(name);
    const answer = name === 'version' ? { major: '1', minor } : crd;
    if (request.method === 'PATCH' && crd) {
      const patch = JSON.parse(Buffer.concat(chunks).toString()) as Pick<Crd, 'metadata' | 'spec'>;
      expect(patch.metadata.resourceVersion).toBe(crd.metadata.resourceVersion);
      crd.spec = { ...crd.spec, versions: patch.spec.versions };
      crd.metadata.resourceVersion += '1';
    }
    response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { kind: 'Status', reason: 'NotFound', code: 404 }));
  };
  const listening = http.createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const agent = new http.Agent();
  const url = new URL(`http://127.0.0.1:${(listening.address() as { port: number }).port}`);
  const client = new KubernetesClient({ url, connection: async () => ({ agent, headers: {} }) });
  const start = () => {
    const rules = new CrdRules({ client, clock: systemTime, log: silentLog });
    rules.start();
    closing.push(() => rules.close());
  };
  closing.push(() => listening.close());
  return { crds, requests, start };
}

const until = (check: () => boolean) => vi.waitUntil(check, { timeout: 60_000 });
/** The last CRD in the order of the requests that has rules. */
const LAST = 'ipreservations.projectcalico.org';
const hasRules = (crd: Crd | undefined) => JSON.stringify(crd).includes('x-kubernetes-validations');
const patches = (requests: readonly string[]) => requests.filter((one) => one.startsWith('PATCH'));

describe('cali-controllers', () => {
  it.each(['31', '34+'])('adds the rules to the CRDs of a server of version 1.%s, once', async (minor) => {
    const { crds, requests, start } = await server(minor);
    start();
    await until(() => requests.filter((one) => one.startsWith('GET')).length === 14);
    await until(() => hasRules(crds.get(LAST)));
    const count = patches(requests).length;
    expect(count).toBeGreaterThan(5);
    start();
    await until(() => requests.filter((one) => one.startsWith('GET')).length === 28);
    expect(patches(requests)).toHaveLength(count);
  });

  it('requests no CRD of an older server', async () => {
    const { requests, start } = await server('30');
    start();
    await until(() => requests.length > 0);
    expect(requests).toEqual(['GET /version']);
  });

  it('leaves CRDs with a foreign schema, such as Calico’s, and missing CRDs alone', async () => {
    const { crds, requests, start } = await server('31');
    const { properties } = crds.get('ippools.projectcalico.org')!.spec.versions[0]!.schema.openAPIV3Schema;
    properties['spec'] = { type: 'object' };
    crds.delete('bgppeers.projectcalico.org');
    start();
    await until(() => requests.filter((one) => one.startsWith('GET')).length === 14);
    await until(() => hasRules(crds.get(LAST)));
    expect(patches(requests).filter((one) => /ippools|bgppeers/.test(one))).toEqual([]);
    expect(hasRules(crds.get('ippools.projectcalico.org'))).toBe(false);
  });
});
