/**
 * The rights in deploy/. Every program counts its requests (cali_api_requests_total). In the whole run, no request may
 * be answered with 403, and every granted right must be used by a program.
 */

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { expect, it } from 'vitest';
import { AGENT_SOCKET } from '../../agent/report/status.ts';
import { grantedRights } from '../helpers/rbac.ts';

/** Rights for rare situations, which need not arise in a run, with the situation. */
const rare: Readonly<Record<string, string>> = {
  'cali-node get pods': 'a CNI call for a pod that the watch has not delivered yet',
  'cali-node get namespaces': 'a CNI call for a pod in a namespace that the watch has not delivered yet',
  'cali-node get events': 'an Event that is repeated within the hour',
  'cali-node patch events': 'an Event that is repeated within the hour',
  'cali-node get configmaps': 'the first start: an earlier run may have created the pool',
  'cali-node create ippools.projectcalico.org': 'the first start',
  'cali-node create clusterinformations.projectcalico.org': 'the first start',
  'cali-node create bgpconfigurations.projectcalico.org': 'the first start',
  'cali-node create felixconfigurations.projectcalico.org': 'the first start',
  'cali-node create ipamconfigurations.projectcalico.org': 'the first start',
  'cali-controllers create kubecontrollersconfigurations.projectcalico.org': 'the first start',
  'cali-node update ipamhandles.projectcalico.org': 'a pod with addresses from two blocks, and a lost race',
  'cali-reflector list secrets': 'a BGPPeer with a password that selects reflectors',
  'cali-reflector watch secrets': 'a BGPPeer with a password that selects reflectors',
  'cali-controllers get customresourcedefinitions.apiextensions.k8s.io': 'Kubernetes 1.31 or later',
  'cali-controllers patch customresourcedefinitions.apiextensions.k8s.io': 'Kubernetes 1.31 or later',
  'cali-controllers get events': 'addresses that leaked again within the hour',
  'cali-controllers patch events': 'addresses that leaked again within the hour',
  'cali-controllers get blockaffinities.projectcalico.org': 'a deleted node, after the grace period',
  'cali-controllers update blockaffinities.projectcalico.org': 'a deleted node, after the grace period',
  'cali-controllers delete blockaffinities.projectcalico.org': 'a deleted node, after the grace period',
  'cali-controllers update ipamhandles.projectcalico.org': 'addresses that leaked from one of two blocks',
};

/** Requests of the programs, as `program verb resource`, and the forbidden ones. */
const used = new Set<string>();
const forbidden = new Set<string>();
let timer: NodeJS.Timeout | undefined;

/** Reads the counters of all programs every second, because a process loses its counters when it ends. */
export function watchRights(): void {
  timer = setInterval(() => void readAll(), 1_000);
}

export function stopWatchingRights(): void {
  clearInterval(timer);
}

async function readAll(): Promise<void> {
  await Promise.all(
    programs().map(async ({ pid, program }) => {
      const text = await (program === 'cali-controllers' ? overHttp(pid) : overSocket(pid));
      for (const [, labels, count] of text.matchAll(/^cali_api_requests_total\{(.*)\} (\d+)$/gm)) {
        const label = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(labels!)?.[1] ?? '';
        const request = `${program} ${label('verb')} ${label('resource')}`;
        if (count === '0') continue;
        if (label('code') === '403') forbidden.add(request);
        else if (label('code').startsWith('2') || /^(404|409|410|422)$/.test(label('code')))
          used.add(request);
      }
    }),
  );
}

/** Returns Cali's processes on this machine that run from the image. */
function programs(): { pid: string; program: string }[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      const command = attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '';
      const name = /^\S*node\0(?:.*\0)?\/opt\/cali\/(cali-\w+)\.js\0(.*)$/.exec(command);
      if (!name || /--(install-cni|cleanup|version)/.test(name[2]!)) return [];
      const isReflector = name[2]!.includes('--role\0reflector');
      return [{ pid, program: isReflector ? 'cali-reflector' : name[1]! }];
    });
}

const overSocket = (pid: string) =>
  new Promise<string>((resolve) => {
    // /var/run in the container is an absolute link, which would lead back to this machine.
    const socketPath = `/proc/${pid}/root/run/cali/${AGENT_SOCKET}`;
    const request = http.get({ socketPath, path: '/metrics', timeout: 2_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text)).on('error', () => resolve(''));
    });
    request.on('error', () => resolve('')).on('timeout', () => request.destroy());
  });

/** Reads the metrics of the controllers, which listen only in their pod's network. */
async function overHttp(pid: string): Promise<string> {
  const url = 'http://127.0.0.1:9094/metrics';
  const command = ['-t', pid, '-n', 'busybox', 'wget', '-q', '-O', '-', url];
  return spawnSync('nsenter', command, { encoding: 'utf8', timeout: 3_000 }).stdout;
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

/** Must run after all other tests. */
export function rights(): void {
  it('no request by Cali in any of these tests was forbidden', async () => {
    await readAll();
    expect(used.size).toBeGreaterThan(50);
    // An API server that has just started has not loaded the Roles yet: it refuses requests that it allows later.
    expect([...forbidden].filter((request) => !used.has(request))).toEqual([]);
  });

  it('every granted right was used in these tests, or is for a rare situation', () => {
    const all = grantedRights().map(({ right }) => right);
    expect(all.length).toBeGreaterThan(50);
    expect(all.filter((right) => !used.has(right) && !rare[right])).toEqual([]);
    // An exception for a right that is no longer granted would be misleading.
    expect(Object.keys(rare).filter((right) => !all.includes(right))).toEqual([]);
  });
}
