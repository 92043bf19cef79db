/** Lists and deletes veth pairs with `ip`, each call in a process of its own. */
import { feed, run } from '../lib/exec.ts';

const TIMEOUT_MS = 10_000;

/** Returns the names of all veth interfaces. Throws when ip fails. */
export async function vethNames(): Promise<ReadonlySet<string>> {
  const { ok, stdout, stderr } = await run('ip', ['-j', 'link', 'show', 'type', 'veth']);
  if (!ok) throw new Error(`ip link show type veth: ${stderr}`);
  return new Set((JSON.parse(stdout || '[]') as { ifname?: string }[]).flatMap(({ ifname }) => ifname ?? []));
}

/**
 * Deletes a veth pair by one of its interfaces. A missing interface counts as gone. An interface that is not a veth is
 * kept. `refusal`: the kernel's answer when it refused. It does not use the long-lived `ip` of IpSession, which may have
 * cached the index of an earlier interface of this name.
 */
export async function deleteVeth(name: string): Promise<{ isGone: boolean; refusal?: string }> {
  const shown = await feed('ip', ['-d', '-j', 'link', 'show', 'dev', name], [], TIMEOUT_MS);
  if (!shown.ok && /does not exist|Cannot find device/.test(shown.stderr)) return { isGone: true };
  if (shown.ok && kindOf(shown.stdout) !== 'veth') return { isGone: false };
  const { ok, stderr } = await feed('ip', ['link', 'del', 'dev', name], [], TIMEOUT_MS);
  return ok || /Cannot find device/.test(stderr) ? { isGone: true } : { isGone: false, refusal: stderr };
}

function kindOf(shown: string): string | undefined {
  const [link] = JSON.parse(shown || '[]') as { linkinfo?: { info_kind?: string } }[];
  return link?.linkinfo?.info_kind;
}
