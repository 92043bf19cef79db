import { symlinkSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { clusterInformationKind } from '../../../datastore/schema/cluster.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { CalictlWorld, calictl } from '../../helpers/calictl.ts';
import { kubeconfigText } from '../../helpers/kubeconfig.ts';

let world: CalictlWorld;
beforeAll(async () => {
  world = await CalictlWorld.start();
});
afterAll(() => world.stop());

const object = (kind: string, name: string, spec: object, metadata: object = {}) => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: { name, ...metadata },
  spec,
});
const pool = (name: string, cidr: string, more: object = {}) => object('IPPool', name, { cidr, ...more });
const documents = (...objects: object[]) => objects.map((one) => JSON.stringify(one)).join('\n---\n');
const exists = async (name: string) => (await world.raw(ipPoolKind, name)) !== undefined;

describe('calictl with -f', () => {
  it('applies several files and folders, and subfolders with -R', async () => {
    const single = world.file('single.yaml', documents(pool('f1', '10.1.0.0/24')));
    world.file('folder/a.yaml', documents(pool('f2', '10.2.0.0/24'), pool('f3', '10.3.0.0/24')));
    world.file('folder/b.json', documents(pool('f4', '10.4.0.0/24')));
    world.file('folder/notes.txt', 'not a manifest');
    world.file('folder/deep/c.yml', documents(pool('f5', '10.5.0.0/24')));
    const folder = path.join(world.folder, 'folder');
    expect(await world.calictl('apply', '-f', single, '-f', folder)).toEqual({
      code: 0,
      out: "Successfully applied 4 'IPPool' resource(s)\n",
      err: '',
    });
    expect(await exists('f5')).toBe(false);
    expect((await world.calictl('apply', '-R', '-f', folder)).out).toContain('applied 4');
    expect(await exists('f5')).toBe(true);
    const deleted = await world.calictl('delete', '-R', '-f', single, '-f', folder);
    expect(deleted.out).toBe("Successfully deleted 5 'IPPool' resource(s)\n");
  });

  it('names each fault of each file with its document, and then changes nothing', async () => {
    const one = world.file(
      'faults/one.yaml',
      `${documents(
        pool('good', '10.6.0.0/24'),
        pool('bad', '10.6.0.0/33'),
        pool('odd', '10.7.0.0/24', { frob: 1, blockSize: 99 }),
        object('GlobalNetworkPolicy', 'deny', {}),
        object('Frob', 'x', {}),
      )}\n---\nkind: IPPool\n---\na: [\n---\n- 5\n---\n`,
    );
    const two = world.file('faults/two.yaml', documents({ ...pool('v1', '10.8.0.0/24'), apiVersion: 'v1' }));
    const { code, out, err } = await world.calictl('apply', '-f', one, '-f', two, '-f', '/nowhere.yaml');
    expect([code, out]).toEqual([1, '']);
    expect(err.trimEnd().split('\n')).toEqual([
      expect.stringMatching(
        /one\.yaml, document 2: IPPool\S* "bad" is invalid: spec\.cidr: .*10\.6\.0\.0\/33/,
      ),
      expect.stringMatching(
        /one\.yaml, document 3: IPPool\S* "odd" is invalid: spec\.blockSize: .*; IPPool odd: unknown field "spec\.frob"/,
      ),
      expect.stringMatching(/one\.yaml, document 4: GlobalNetworkPolicy deny: Cali has no network policy/),
      expect.stringMatching(/one\.yaml, document 5: Frob x: unknown kind Frob/),
      expect.stringMatching(/one\.yaml, document 6: IPPool \(no name\): has no apiVersion/),
      expect.stringMatching(/one\.yaml, document 7: .*line/),
      expect.stringMatching(/one\.yaml, document 8, item 1: is not an object/),
      expect.stringMatching(/two\.yaml: IPPool v1: apiVersion is v1 but must be projectcalico\.org\/v3/),
      expect.stringMatching(/^\/nowhere\.yaml: cannot be read/),
    ]);
    expect(await exists('good')).toBe(false);
  });

  it('continues with the other resources when the API refuses one', async () => {
    const file = world.file(
      'partial.yaml',
      documents(pool('p1', '10.10.0.0/16'), pool('p2', '10.10.1.0/24'), pool('p3', '10.11.0.0/24')),
    );
    const { code, out, err } = await world.calictl('create', '-f', file);
    expect(code).toBe(1);
    expect(out).toBe("Partial success: created 2 out of 3 'IPPool' resources\n");
    expect(err).toMatch(/partial\.yaml, document 2: Failed to create 'IPPool' resource p2: .*overlaps/);
    const again = await world.calictl('create', '--skip-exists', '-f', file);
    expect(again.out).toContain("created 0 out of 3 'IPPool' resources, skipped 2 that already exist");
    const missing = await world.calictl('delete', 'ippool', 'p1', 'p2', 'p3');
    expect(missing).toMatchObject({
      code: 1,
      out: "Partial success: deleted 2 out of 3 'IPPool' resources\n",
    });
    expect(missing.err).toContain(
      "Failed to delete 'IPPool' resource p2: resource does not exist: IPPool(p2)",
    );
    expect((await world.calictl('delete', '-s', 'ippool', 'p1')).code).toBe(0);
    expect(await world.client.list(ipPoolKind)).toEqual([]);
  });

  it('needs only kind and name for delete and get', async () => {
    await world.calictl('apply', '-f', world.file('d.yaml', documents(pool('d', '10.12.0.0/24'))));
    const named = world.file(
      'named.yaml',
      'apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: d}\n',
    );
    expect((await world.calictl('get', '-f', named)).out).toMatch(
      /^NAME +CIDR +SELECTOR\nd +10\.12\.0\.0\/24/,
    );
    expect((await world.calictl('delete', '-f', named)).code).toBe(0);
    expect((await world.calictl('get', '-f', named)).code).toBe(1);
  });

  it('refuses a file without resources, unless --skip-empty is set', async () => {
    const empty = world.file('empty.yaml', '---\n# nothing\n');
    expect(await world.calictl('apply', '-f', empty)).toMatchObject({
      code: 1,
      err: expect.stringContaining('empty.yaml: contains no resources: add some, or use --skip-empty'),
    });
    expect(await world.calictl('apply', '--skip-empty', '-f', empty)).toMatchObject({
      code: 0,
      out: 'No resources specified\n',
    });
    world.file('other/x.txt', '');
    const folder = path.join(world.folder, 'other');
    expect((await world.calictl('apply', '-f', folder)).err).toContain('no file in it ends in .yaml');
  });

  it('unfolds lists and arrays, and follows links to files', async () => {
    const list = { apiVersion: 'v1', kind: 'List', items: [pool('l1', '10.13.0.0/24')] };
    world.file('real/list.json', JSON.stringify(list));
    world.file('links/array.json', JSON.stringify([pool('l2', '10.14.0.0/24')]));
    symlinkSync(path.join(world.folder, 'real/list.json'), path.join(world.folder, 'links/list.json'));
    const folder = path.join(world.folder, 'links');
    expect((await world.calictl('validate', '-f', folder)).out).toBe(
      "Successfully validated 2 'IPPool' resource(s)\n",
    );
    const broken = world.file('list.json', JSON.stringify({ ...list, items: 5 }));
    expect((await world.calictl('validate', '-f', broken)).err).toContain('items must be a list');
  });

  it('accepts labels that YAML reads as booleans or numbers, and reads null as an absent field', async () => {
    const file = world.file(
      'odd.yaml',
      'apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata:\n  name: odd\n  labels: { a: true, b: 5 }\n  annotations:\n' +
        'spec: { cidr: 10.16.0.0/24, blockSize: }\n---\napiVersion: projectcalico.org/v3\nkind: BGPConfiguration\n' +
        'metadata: { name: default }\nspec:\n',
    );
    expect(await world.calictl('apply', '-f', file)).toMatchObject({ code: 0, err: '' });
    const stored = await world.raw(ipPoolKind, 'odd');
    expect(stored).toMatchObject({ metadata: { labels: { a: 'true', b: '5' } } });
    expect(stored).not.toHaveProperty('spec.blockSize');
    await world.calictl('delete', '-f', file);
  });

  it('replaces neither finalizers nor owners, and refuses an outdated resourceVersion', async () => {
    const metadata = { finalizers: ['cali.test/hold'], labels: { a: 'b' } };
    await world.client.create(ipPoolKind, {
      ...pool('kept', '10.15.0.0/24'),
      metadata: { name: 'kept', ...metadata },
    });
    const file = world.file('kept.yaml', documents(pool('kept', '10.15.0.0/24', { disabled: true })));
    expect((await world.calictl('apply', '-f', file)).code).toBe(0);
    const stored = await world.raw(ipPoolKind, 'kept');
    expect(stored).toMatchObject({ metadata: { finalizers: ['cali.test/hold'] }, spec: { disabled: true } });
    expect(stored).not.toHaveProperty('metadata.labels');
    const old = { ...pool('kept', '10.15.0.0/24'), metadata: { name: 'kept', resourceVersion: '1' } };
    const refused = await world.calictl('replace', '-f', world.file('old.yaml', documents(old)));
    expect(refused.err).toMatch(/resource version 1 is out of date \(latest: \d+\)/);
    const kept = await world.calictl('delete', '-f', path.join(world.folder, 'old.yaml'));
    expect(kept).toMatchObject({
      code: 1,
      err: expect.stringContaining('resource version 1 is out of date'),
    });
    expect(await exists('kept')).toBe(true);
    await world.client.patch(ipPoolKind, 'kept', { metadata: { finalizers: null } });
    await world.calictl('delete', 'ippool', 'kept');
  });
});

describe('calictl get', () => {
  it('supports each output format of calicoctl', async () => {
    await world.calictl('apply', '-f', world.file('g.yaml', documents(pool('g', '10.20.0.0/24'))));
    const form = async (...args: string[]) => (await world.calictl('get', 'ipp', ...args)).out;
    expect(await form('-o', 'wide')).toMatch(
      /^NAME +CIDR +NAT +IPIPMODE +VXLANMODE +DISABLED +DISABLEBGPEXPORT +SELECTOR +ASSIGNMENTMODE\ng +10\.20\.0\.0\/24 +false +Never +Never +false +false +all\(\) +Automatic/,
    );
    expect(await form('-o', 'custom-columns=CIDR,NAME')).toMatch(/^CIDR +NAME\n10\.20\.0\.0\/24 +g\n/);
    expect(await form('-o', 'name')).toBe('ippool.projectcalico.org/g\n');
    expect(parse(await form('g', '-o', 'yml'))).toMatchObject({ kind: 'IPPool', metadata: { name: 'g' } });
    expect(parse(await form('-o', 'yaml'))).toMatchObject({
      kind: 'IPPoolList',
      items: [{ kind: 'IPPool' }],
    });
    expect(JSON.parse(await form('g', 'g', '-o', 'json'))).toMatchObject([
      { kind: 'IPPool' },
      { kind: 'IPPool' },
    ]);
    const template = '{{range .}}{{range .Items}}{{.ObjectMeta.Name}} {{.Spec.CIDR}}{{"\\n"}}{{end}}{{end}}';
    expect(await form('-o', `go-template=${template}`)).toBe('g 10.20.0.0/24\n');
    const file = world.file('names.tmpl', '{{range .}}{{.metadata.name}};{{end}}');
    expect(await form('g', '-o', `go-template-file=${file}`)).toBe('g;\n');
    expect(await form('g', 'g', '-o', `go-template-file=${file}`)).toBe('g;g;\n');
    const exported = parse(await form('g', '-o', 'yaml', '--export'));
    expect(exported.metadata).toEqual({ name: 'g' });
    expect(exported.spec).toMatchObject({ cidr: '10.20.0.0/24' });
  });

  it.each([
    [['get', 'ippool', '-o', 'custom-columns=FROB'], /unknown heading FROB, valid values are: NAME, CIDR/],
    [['get', 'ippool', '-o', 'custom-columns='], /need to specify at least one column/],
    [['get', 'ippool', '-o', 'frob'], /unrecognized output format 'frob'/],
    [['get', 'ippool', '-o', 'go-template='], /need to specify a template/],
    [['get', 'ippool', '-o', 'go-template={{$x := 1}}'], /go-template: cannot be read/],
    [['get', 'ippool', '-o', 'go-template-file=/nowhere'], /\/nowhere: cannot be read/],
    [['get'], /get: name a kind/],
    [['get', 'all'], /resource type 'all' is not supported: try node, ippool/],
    [['get', 'networkpolicy'], /Cali has no network policy/],
    [['get', 'hep'], /Cali does not protect host interfaces/],
    [['get', 'ippool', '-n', 'x'], /IPPool is not namespaced: omit -n/],
    [['get', 'ippool', '-A'], /IPPool is not namespaced: omit -A/],
    [['get', 'wep', '-A', '-n', 'x'], /-n and -A contradict each other: omit one of them/],
    [['get', 'wep', 'name', '-A'], /-A applies only to lists: name the namespace with -n/],
    [['get', 'ippool', 'none'], /resource does not exist: IPPool\(none\)/],
    [['get', 'ippool', '-f', 'x'], /name either a kind and its resources, or files/],
    [['apply'], /apply: name a file or a folder with -f/],
    [['delete', 'ippool'], /delete: name a kind and its resources/],
    [['delete', 'ippool', ''], /resource name may not be empty/],
    [['patch', 'ippool', 'g', '-p', '5'], /must be an object as JSON or YAML/],
    [['patch', 'ippool', 'g', '-p', '{"spec":{"frob":1}}'], /unknown field "spec\.frob"/],
    [['patch', 'ippool', 'g', '-t', 'json', '-p', '{}'], /--type json requires a list/],
    [
      ['patch', 'ippool', 'g', '-t', 'json', '-p', '[{"op":"remove","path":"/x"}]'],
      /there is no value at \/x/,
    ],
    [['patch', 'ippool', 'none', '-p', '{}'], /resource does not exist: IPPool\(none\)/],
    [['label', 'ippool', 'g', 'key'], /write key=value, or key with --remove/],
    [['node', 'run'], /node run is not supported/],
    [['ipam', 'split', '2', '--name', 'g'], /ipam split is not supported/],
    [['convert', '-f', 'x'], /convert is not supported/],
    [['cluster', 'diags', '--since', '1h'], /cluster diags is not supported/],
    [['datastore', 'migrate', 'import', '-f', 'x'], /datastore migrate import is not supported/],
    [['datastore', 'migrate-policy-names'], /has no network policy/],
    [['ipam', 'configure'], /ipam configure: use --strictaffinity or/],
    [['ipam', 'configure', '--strictaffinity', 'perhaps'], /must be true or false/],
    [['ipam', 'configure', '--ip-cooldown-seconds', '5'], /Cali has no cool-down/],
    [
      ['ipam', 'configure', '--kubevirt-ip-persistence', 'Enabled'],
      /Cali does not integrate with KubeVirt: omit the flag/,
    ],
    [['ipam', 'release', '--ip', '10.0.0.1'], /IP address 10\.0\.0\.1 is not assigned/],
    [['ipam', 'release', '--from-report', '/nowhere'], /\/nowhere: cannot be read/],
    [['ipam', 'release', '--from-report', 'package.json'], /package\.json: is not a report of/],
    [['ipam', 'show', '--ip='], /invalid IP address ""/],
    [['bgp', 'routes', 'foo'], /invalid prefix "foo": write it as/],
    [['bgp', 'routes', ''], /invalid prefix ""/],
    [['bgp', 'routes', '10.0.0.0/33'], /invalid prefix "10\.0\.0\.0\/33"/],
    [['bgp', 'neighbor', 'foo'], /invalid IP address "foo": name a peer by its address/],
    [['bgp', 'neighbor', '10.0.0.0/8'], /invalid IP address "10\.0\.0\.0\/8"/],
    [['--log-level', 'loud', 'version'], /log-level/],
    [['frob'], /unknown command/],
  ])('with arguments %j exits with code 1 and a reason', async (args, sentence) => {
    const { code, out, err } = await world.calictl(...args);
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(sentence);
  });

  it('names its formats and the default one in its help', async () => {
    const { code, out } = await calictl('get', '--help');
    expect(code).toBe(0);
    expect(out.replace(/\s+/g, ' ')).toContain('or go-template-file=FILE (default: ps)');
  });

  it('shows the rule counts of a BGPFilter, and the name of KubeControllersConfiguration', async () => {
    const rule = { action: 'Accept' };
    const filter = object('BGPFilter', 'f', { exportV4: [rule, rule], importV6: [rule] });
    const configuration = object('KubeControllersConfiguration', 'default', { controllers: {} });
    await world.calictl('apply', '-f', world.file('filter.yaml', documents(filter, configuration)));
    expect((await world.calictl('get', 'bgpf')).out).toBe(
      'NAME   NUMEXPORTV4   NUMIMPORTV4   NUMEXPORTV6   NUMIMPORTV6\nf      2             0             0             1\n',
    );
    expect((await world.calictl('get', 'kubecontrollersconfig')).out).toBe('NAME\ndefault\n');
  });
});

describe('the API endpoint of calictl', () => {
  it('is chosen with --context', async () => {
    const away = await world.calictl('get', 'ippools', '--context', 'away');
    expect(away).toMatchObject({ code: 1, err: expect.stringContaining('127.0.0.1:1') });
    const none = await world.calictl('--context', 'none', 'get', 'ippools');
    expect(none.err).toMatch(/has no context "none": choose one of here, away/);
    const empty = await calictl('get', 'ippools', '--kubeconfig', world.file('empty', ''));
    expect(empty.err).toMatch(/kubeconfig \S+: cannot be read: it is not a kubeconfig\. Set KUBECONFIG/);
    const { 'current-context': _, ...rest } = JSON.parse(kubeconfigText(world.url));
    const pointless = world.file('no-current-context', JSON.stringify(rest));
    const unset = await calictl('get', 'ippools', '--kubeconfig', pointless);
    expect(unset).toMatchObject({
      code: 1,
      err: `kubeconfig ${pointless}: has no current-context: set it to one of its contexts (here, away), or pass --context to calictl.\n`,
    });
    const chosen = await calictl('get', 'ippools', '--kubeconfig', pointless, '--context', 'here');
    expect(chosen.code).toBe(0);
  });

  it('is merged from several kubeconfigs, of which the first one wins', async () => {
    const here = path.join(world.folder, 'kubeconfig');
    const other = world.file('other-kubeconfig', kubeconfigText('http://127.0.0.1:2'));
    expect((await calictl('get', 'ippools', '--kubeconfig', `${here}:${other}`)).code).toBe(0);
    expect((await calictl('get', 'ippools', '--kubeconfig', `${other}:${here}`)).err).toContain(
      '127.0.0.1:2',
    );
    expect((await calictl('get', 'ippools', '--kubeconfig', `/nowhere:${here}`)).code).toBe(0);
  });

  it('is read from calicoctl’s file with -c, and what Cali does not support is refused', async () => {
    const kubeconfig = path.join(world.folder, 'kubeconfig');
    const file = (spec: object) =>
      world.file('calicoctl.cfg', JSON.stringify({ ...object('CalicoAPIConfig', 'x', spec) }));
    const good = file({ datastoreType: 'kubernetes', kubeconfig });
    expect((await calictl('get', 'ippools', '-c', good)).code).toBe(0);
    const etcd = file({ datastoreType: 'etcdv3' });
    expect((await calictl('get', 'ippools', '-c', etcd)).err).toMatch(
      /spec\.datastoreType is etcdv3: use kubernetes, because Cali stores everything in the Kubernetes API/,
    );
    expect((await calictl('get', 'ippools', '-c', '/nowhere')).err).toMatch(
      /--config \/nowhere: cannot be read/,
    );
  });
});

it('calictl version shows the client version, and the cluster version unless --client is set', async () => {
  const client = await calictl('version', '--client', '--kubeconfig', '/nowhere');
  expect(client).toMatchObject({ code: 0, out: expect.stringMatching(/^Client Version: +\d/) });
  expect(await world.calictl('version')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/unable to retrieve Cluster Version or Type: .*ClusterInformation\(default\)/),
  });
  const spec = { calicoVersion: 'v9', clusterType: 'lab', datastoreReady: true };
  const information = object('ClusterInformation', 'default', spec);
  const file = world.file('information.yaml', documents(information));
  await world.client.create(clusterInformationKind, information);
  expect((await world.calictl('version', '--allow-version-mismatch')).out).toMatch(
    /Cluster Version: +v9\nCluster Type: +lab\n$/,
  );
  expect((await world.calictl('datastore', 'migrate', 'lock')).out).toBe('Datastore locked.\n');
  expect((await world.calictl('get', 'clusterinfo')).out).toMatch(/v9 +false\n/);
  expect((await world.calictl('datastore', 'migrate', 'unlock')).out).toBe('Datastore unlocked.\n');
  for (const verb of ['apply', 'create', 'delete'])
    expect((await world.calictl(verb, '-f', file)).err).toContain(
      `${verb} is not supported: the agents maintain ClusterInformation`,
    );
});
