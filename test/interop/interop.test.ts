/**
 * Tests our route reflector with every BGP speaker that Debian packages. With CALI_WRITE_DOCS=1, the results are
 * written to docs/interop.md.
 */
import type { ChildProcess } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Exchange, linkLocal, v4 } from '../helpers/exchange.ts';
import { hasProgram, root, until } from '../helpers/lab.ts';
import { birdClient, CLIENT, document, documents, fromClient, PEER } from './configurations.ts';
import { lastOdd, oddClient } from './odd-routes.ts';
import { announced4, announced6, type Setup, speakers, unnumbered } from './speakers.ts';

const results = new Map<string, Map<string, string>>();
const features: string[] = [];

describe.each(speakers.map((speaker) => [speaker.name, speaker] as const))(
  '%s (skipped without its Debian package)',
  (name, speaker) => {
    const isInstalled = speaker.program.startsWith('/')
      ? existsSync(speaker.program)
      : hasProgram(speaker.program);
    let exchange: Exchange;
    beforeEach(() => {
      if (isInstalled) exchange = new Exchange();
    });
    afterEach(() => exchange?.close());

    const feature = (title: string, run: () => Promise<void>) => {
      if (!features.includes(title)) features.push(title);
      const verdicts = results.get(name) ?? new Map<string, string>();
      results.set(name, verdicts);
      const reason = speaker.cannot[title];
      if (reason !== undefined) {
        verdicts.set(title, reason);
        return;
      }
      it.skipIf(!isInstalled)(title, async () => {
        verdicts.set(title, 'fails');
        await run();
        verdicts.set(title, 'yes');
      });
    };

    const ibgp: Setup = { localAs: 64512, caliAs: 64512 };
    const startClient = (peer = v4(1), as?: number) => {
      const file = exchange.write('client.conf', birdClient(peer, as));
      return exchange.start('client', ['bird', '-f', '-c', file, '-s', 'client.ctl', '-P', 'client.pid']);
    };
    const clientRoutes = () => exchange.run('client', 'birdc -s client.ctl show route all');
    const established = () =>
      until(
        `the session with ${name} is Established`,
        40_000,
        () => exchange.peer(PEER)?.state === 'Established',
      );
    const hasRoute = (prefix = announced4) =>
      until(`${name} has advertised ${prefix}`, 12_000, () => exchange.path(prefix, PEER)?.isUsable === true);
    const itHas = (pattern: RegExp | string) =>
      until(`${name} has ${pattern}`, 12_000, () => new RegExp(pattern).test(speaker.routes(exchange)));
    const start = (
      setup: Setup,
      peer: object = {},
      more: readonly object[] = [],
      client: object = {},
    ): { cali: ChildProcess; other: ChildProcess } => ({
      cali: exchange.startCali(documents(peer, more, client)),
      other: speaker.start(exchange, setup),
    });

    feature('iBGP, both families on one session, the speaker connects', async () => {
      start(ibgp);
      await established();
      await hasRoute(announced4);
      await hasRoute(announced6);
      expect(exchange.peer(PEER)!.families.map(({ family }) => family)).toEqual([4, 6]);
    });

    feature('iBGP, Cali connects', async () => {
      start({ ...ibgp, isPassive: true });
      await established();
      await hasRoute();
    });

    feature('eBGP with 4-octet AS numbers', async () => {
      const filter = document('BGPFilter', 'all', {
        importV4: [{ action: 'Accept' }],
        exportV4: [{ action: 'Accept', operations: [{ prependASPath: { prefix: [4200000009] } }] }],
      });
      startClient();
      start(
        { localAs: 4200000001, caliAs: 64512 },
        { asNumber: 4200000001, filters: ['all'], addressFamilies: ['IPv4'] },
        [filter],
      );
      await established();
      await hasRoute();
      expect(exchange.path(announced4, PEER)!.attributes.asPath).toEqual([
        { type: 2, asNumbers: [4200000001] },
      ]);
      await itHas('172.30.0.0');
      await itHas(/64512 4200000009|"asn":\s*4200000009|4200000009/);
    });

    feature('communities: standard, extended, large', async () => {
      startClient();
      start(ibgp);
      await hasRoute();
      const { attributes } = exchange.path(announced4, PEER)!;
      expect(attributes.communities).toContain(64512 * 65536 + 1);
      expect(attributes.largeCommunities).toEqual([[64512, 2, 3]]);
      expect(attributes.extendedCommunities).toEqual(['0002fc0000000009']);
      await itHas('172.30.0.0');
      await itHas(/64512[:,] ?77|4227858509/);
      await itHas(/64512[:, ]+7[:, ]+7|"ASN":64512,"LocalData1":7/);
    });

    feature('route reflection, the speaker is a client', async () => {
      startClient();
      start(ibgp);
      await itHas('172.30.0.0');
      await until('the other client has the speaker’s route', 12_000, () =>
        clientRoutes().includes(announced4),
      );
      expect(clientRoutes()).toMatch(/BGP.originator_id: 10\.77\.0\.2/);
      expect(clientRoutes()).toMatch(/BGP.cluster_list: 1\.1\.1\.1/);
      expect(clientRoutes()).toMatch(/BGP.next_hop: 10\.77\.0\.2/);
    });

    feature('route reflection, Cali is a client', async () => {
      // BIRD is a client of the foreign reflector only: its routes reach us through that reflector.
      startClient(PEER);
      start({ ...ibgp, isReflector: true }, { routeReflectorClient: false });
      await established();
      await until(
        'the client’s route has arrived',
        30_000,
        () => exchange.path(fromClient, PEER)?.isUsable === true,
      );
      const { attributes } = exchange.path(fromClient, PEER)!;
      expect(attributes.originatorId).toBe(CLIENT);
      expect(attributes.clusterList).toEqual([PEER]);
    });

    feature('route server, the speaker is a client', async () => {
      const accept = [{ action: 'Accept' }];
      const filter = document('BGPFilter', 'all', { importV4: accept, exportV4: accept });
      const client = { role: 'RouteServer', filters: ['all'], addressFamilies: ['IPv4'] };
      startClient(v4(1), 65003);
      start(
        { localAs: 65002, caliAs: 64512, isRouteServerClient: true },
        { ...client, asNumber: 65002 },
        [filter],
        { ...client, asNumber: 65003 },
      );
      await established();
      await itHas('172.30.0.0');
      expect(speaker.routes(exchange)).not.toMatch(/64512 65003/);
      await until('the other client has the speaker’s route', 12_000, () =>
        clientRoutes().includes(announced4),
      );
      expect(clientRoutes()).toMatch(/BGP.as_path: 65002\n/);
      expect(clientRoutes()).toMatch(/BGP.next_hop: 10\.77\.0\.2/);
    });

    feature('route refresh, the speaker requests it', async () => {
      startClient();
      start(ibgp);
      await itHas('172.30.0.0');
      const before = exchange.peer(PEER)!.updatesSent;
      speaker.refresh(exchange);
      await until('Cali has sent the routes again', 12_000, () => exchange.peer(PEER)!.updatesSent > before);
      expect(exchange.peer(PEER)!.state).toBe('Established');
    });

    feature('graceful restart, Cali is the helper', async () => {
      const { other } = start(ibgp);
      await hasRoute();
      await exchange.kill('peer', other);
      await until('the session has ended', 12_000, () => exchange.peer(PEER)?.state !== 'Established');
      expect(exchange.path(announced4, PEER)).toMatchObject({ isUsable: true, isStale: true });
      speaker.start(exchange, ibgp);
      await established();
      await until(
        'the route is no longer stale',
        12_000,
        () => exchange.path(announced4, PEER)?.isStale === false,
      );
    });

    feature('graceful restart, the speaker is the helper', async () => {
      startClient();
      const { cali } = start(ibgp);
      await itHas('172.30.0.0');
      await exchange.stopChild(cali, 'SIGKILL');
      await sleep(1500);
      expect(speaker.routes(exchange)).toContain('172.30.0.0');
      exchange.startCali(documents({}));
      await established();
      await sleep(1500);
      expect(speaker.routes(exchange)).toContain('172.30.0.0');
    });

    feature('add-path in both directions', async () => {
      start({ ...ibgp, hasAddPath: true });
      await hasRoute();
      const { capabilities } = exchange.peer(PEER)!;
      expect(capabilities.join()).toMatch(/add-path send \(IPv4/);
      expect(capabilities.join()).toMatch(/add-path receive \(IPv4/);
      startClient();
      await itHas('172.30.0.0');
    });

    feature('TCP MD5', async () => {
      const secret = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'bgp' },
        stringData: { key: 'sesame' },
      };
      const password = { secretKeyRef: { name: 'bgp', key: 'key' } };
      start({ ...ibgp, password: 'sesame' }, { password }, [secret]);
      await established();
      await hasRoute();
    });

    feature('TCP MD5, Cali connects', async () => {
      const secret = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'bgp' },
        stringData: { key: 'sesame' },
      };
      const password = { secretKeyRef: { name: 'bgp', key: 'key' } };
      start({ ...ibgp, password: 'sesame', isPassive: true }, { password }, [secret]);
      await established();
    });

    feature('GTSM', async () => {
      const filter = document('BGPFilter', 'all', { importV4: [{ action: 'Accept' }] });
      const peer = { asNumber: 65001, ttlSecurity: 1, filters: ['all'], addressFamilies: ['IPv4'] };
      start({ localAs: 65001, caliAs: 64512, hasGtsm: true }, peer, [filter]);
      await established();
      await hasRoute();
    });

    // RFC 5881 and RFC 5883.
    for (const bfd of ['single hop', 'multihop'] as const) {
      feature(`BFD, ${bfd}`, async () => {
        const hasGtsm = bfd === 'single hop';
        const timers = { receiveInterval: '100ms', transmitInterval: '100ms', multiplier: 3 };
        const { other } = start(
          { ...ibgp, bfd, hasGtsm },
          { bfd: timers, ...(hasGtsm ? { ttlSecurity: 1 } : {}) },
        );
        await established();
        await until('BFD is up', 10_000, () => exchange.peer(PEER)?.bfd === 'Up');
        // The fast intervals are negotiated after that.
        await sleep(2500);
        // A hung speaker: its connections stay open, and only BFD can detect it.
        other.kill('SIGSTOP');
        const isLost = () => exchange.peer(PEER)?.lastError?.startsWith('BFD:') === true;
        await until('BFD has ended the session', 2000, isLost);
        other.kill('SIGCONT');
      });
    }

    feature(unnumbered, async () => {
      startClient();
      start({ ...ibgp, isUnnumbered: true }, { peerIP: `${linkLocal(2)}%eth0` });
      const at = `${linkLocal(2)}%eth0`;
      await until('the session is Established', 20_000, () => exchange.peer(at)?.state === 'Established');
      expect(exchange.peer(at)!.capabilities).toContain('extended next hop');
      await until(
        'the speaker’s route has arrived',
        12_000,
        () => exchange.path(announced4, at)?.isUsable === true,
      );
      expect(exchange.path(announced4, at)!.attributes.nextHop).toContain(':');
      await itHas('172.30.0.0');
    });

    feature('extended messages', async () => {
      start(ibgp);
      await established();
      expect(exchange.peer(PEER)!.capabilities).toContain('extended messages');
    });

    feature('unusual routes from another client, session stays up', async () => {
      // The speaker gets these routes first as changes in an established session, then in its initial update.
      const { other } = start(ibgp);
      await established();
      const file = exchange.write('odd.cjs', oddClient(v4(1), CLIENT));
      exchange.start('client', [process.execPath, file]);
      const isWell = async () => {
        await itHas(lastOdd.replaceAll('.', '\\.'));
        await sleep(500);
        const peers = [PEER, CLIENT].map((address) => exchange.peer(address)!);
        return peers.map(({ state, flaps, lastNotification }) => ({ state, flaps, lastNotification }));
      };
      const well = { state: 'Established', flaps: 0, lastNotification: undefined };
      expect(await isWell()).toEqual([well, well]);
      await exchange.kill('peer', other);
      await until('the session has ended', 12_000, () => exchange.peer(PEER)?.state !== 'Established');
      speaker.start(exchange, ibgp);
      await established();
      expect(await isWell()).toMatchObject([{ state: 'Established', flaps: 1 }, well]);
      expect(exchange.peer(PEER)!.lastNotification ?? '').not.toMatch(/Update|Header/);
    });

    feature('shutdown message', async () => {
      start(ibgp);
      await established();
      speaker.shutdown!(exchange, 'maintenance');
      await until(
        'the shutdown message has arrived',
        20_000,
        () => exchange.peer(PEER)?.lastNotification?.includes('maintenance') === true,
      );
    });
  },
);

/** Renders the table of docs/interop.md. */
function renderTable(): string {
  const names = speakers.map(({ name, version }) => `${name} ${version}`);
  const notes: string[] = [];
  const cell = (title: string, name: string) => {
    const verdict = results.get(name)?.get(title) ?? '';
    if (verdict === 'yes' || verdict === 'fails') return verdict;
    if (!notes.includes(verdict)) notes.push(verdict);
    return `no [${notes.indexOf(verdict) + 1}]`;
  };
  const rows = features.map(
    (title) => `| ${title} | ${speakers.map(({ name }) => cell(title, name)).join(' | ')} |`,
  );
  return `# Interoperability

Generated by \`CALI_WRITE_DOCS=1 npm run test:interop\` from the tests in test/interop: each cell is a session between
\`cali-node --role reflector\` and the speaker as Debian 12 packages it, in network namespaces. "no" is a feature that
the other speaker lacks.

| | ${names.join(' | ')} |
| --- | ${names.map(() => '---').join(' | ')} |
${rows.join('\n')}

${notes.map((note, index) => `${index + 1}. ${note}`).join('\n')}
`;
}

afterAll(() => {
  const file = path.join(root, 'docs', 'interop.md');
  const isComplete = [...results.values()].every((verdicts) => verdicts.size === features.length);
  if (!isComplete || process.env['CALI_WRITE_DOCS'] !== '1') return;
  writeFileSync(file, renderTable());
  spawnSync('npx', ['biome', 'format', '--write', file], { cwd: root });
  expect(readFileSync(file, 'utf8')).toContain('| iBGP');
});
