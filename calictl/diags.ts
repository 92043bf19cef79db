/** `calictl node diags`: collects an archive for someone without access to the node. */
import { constants, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CodedError, messageOf } from '../lib/errors.ts';
import { run, start } from '../lib/exec.ts';
import { createFolder } from '../lib/folder.ts';
import { redactConfiguration } from './redact.ts';

/** Commands by file name. They only read. */
const commands: Readonly<Record<string, readonly [program: string, ...args: string[]]>> = {
  date: ['date', '-u'],
  hostname: ['hostname'],
  uname: ['uname', '-a'],
  'ip-address': ['ip', '-s', 'address'],
  'ip-link': ['ip', '-d', '-s', 'link'],
  'ip-route-v4': ['ip', '-4', 'route', 'show', 'table', 'all'],
  'ip-route-v6': ['ip', '-6', 'route', 'show', 'table', 'all'],
  'ip-rule': ['ip', 'rule'],
  'ip-neighbour': ['ip', 'neighbour'],
  'bridge-fdb': ['bridge', 'fdb', 'show'],
  nft: ['nft', '-s', 'list', 'ruleset'],
  'iptables-save': ['iptables-save'],
  conntrack: ['cat', '/proc/net/stat/nf_conntrack'],
  sockets: ['ss', '-tnp'],
  sysctl: ['sh', '-c', 'grep -r . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf 2>/dev/null'],
  modules: ['cat', '/proc/modules'],
};

const MAX_CONFIGURATION = 1 << 20;
const MAX_ENDPOINTS = 200_000;

export interface Sources {
  /** Folder where container runtimes read CNI configurations. */
  readonly cniDirectory: string;
  /** The agent's run directory. */
  readonly runDirectory: string;
  /** Queries to the agent, by file name. Without an answer the file has the reason. */
  readonly questions: Readonly<Record<string, () => Promise<unknown>>>;
}

export interface Diagnostics {
  readonly archive: string;
  /** Commands that this machine lacks. */
  readonly missing: readonly string[];
}

/**
 * Writes `diags-YYYYMMDD_HHMMSS.tar.gz` into a folder. From the first octet only its owner can read it. Throws
 * CodedError FAILED, or FOLDER when the folder cannot be created.
 */
export async function collectDiagnostics(folder: string, sources: Sources, now: Date): Promise<Diagnostics> {
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '_').slice(0, 15);
  const name = `diags-${stamp}`;
  await createFolder(folder, 0o700);
  // Mode 0700, next to the archive, because a container may have no other writable folder.
  const parent = await mkdtemp(path.join(folder, '.diags-'));
  const missing: string[] = [];
  try {
    const target = path.join(parent, name);
    await mkdir(target, { mode: 0o700 });
    for (const [file, [command, ...args]] of Object.entries(commands)) {
      const { outcome, stdout, stderr } = await run(command, args);
      if (outcome === 'missing') missing.push(command);
      const text = [stdout, stderr].filter(Boolean).join('\n');
      await writeFile(path.join(target, `${file}.txt`), `# ${[command, ...args].join(' ')}\n${text}\n`);
    }
    await writeFile(path.join(target, 'cni-configuration.txt'), await cniConfiguration(sources.cniDirectory));
    await writeFile(
      path.join(target, 'endpoints.txt'),
      await sections(path.join(sources.runDirectory, 'endpoints'), /\.json$/, MAX_ENDPOINTS, (text) => text),
    );
    for (const [file, ask] of Object.entries(sources.questions)) {
      const answer = await ask().then(
        (value) => JSON.stringify(value, undefined, 2),
        (error: unknown) => String(error),
      );
      await writeFile(path.join(target, `${file}.json`), `${answer}\n`);
    }
    const archive = path.join(folder, `${name}.tar.gz`);
    await pack(parent, name, archive);
    return { archive, missing: [...new Set(missing)] };
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}

/** Returns the files that runtimes read. The folder may also have kubeconfigs and keys of other programs. */
function cniConfiguration(directory: string): Promise<string> {
  return sections(directory, /\.(conf|conflist)$/, MAX_CONFIGURATION, redactConfiguration);
}

/** Returns the matching regular files of a folder, each below its name. Does not follow links. */
async function sections(
  directory: string,
  pattern: RegExp,
  maxBytes: number,
  show: (text: string) => string,
): Promise<string> {
  const names = await readdir(directory).catch((error: unknown) => messageOf(error));
  if (typeof names === 'string') return `${names}\n`;
  const parts: string[] = [];
  for (const name of names.filter((one) => pattern.test(one)).sort()) {
    const text = await readRegular(path.join(directory, name), maxBytes);
    parts.push(`# ${name}\n${'text' in text ? show(text.text) : text.reason}\n`);
  }
  return parts.length > 0
    ? parts.join('\n')
    : `${directory} contains no file that matches ${pattern.source}\n`;
}

async function readRegular(file: string, maxBytes: number): Promise<{ text: string } | { reason: string }> {
  try {
    // Non-blocking, because opening a pipe would wait for its writer.
    const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) return { reason: 'This is not a regular file: omitted.' };
      if (stat.size > maxBytes)
        return { reason: `This has ${stat.size} bytes, which is too large: omitted.` };
      return { text: await handle.readFile('utf8') };
    } finally {
      await handle.close();
    }
  } catch (error) {
    const isLink = (error as NodeJS.ErrnoException).code === 'ELOOP';
    return { reason: isLink ? 'This is a symbolic link: not followed.' : messageOf(error) };
  }
}

/** Packs a folder into a new file. Fails if the path exists, for example as a link. */
async function pack(parent: string, name: string, archive: string): Promise<void> {
  const tar = start('tar', ['-cz', '-f', '-', '-C', parent, name]);
  try {
    await pipeline(tar.stdout!, createWriteStream(archive, { flags: 'wx', mode: 0o600 }));
  } catch (error) {
    tar.kill('SIGKILL');
    throw new CodedError('FAILED', `${archive} cannot be written: ${messageOf(error)}`);
  }
  const { code, reason } = await tar.exited;
  if (code === 0) return;
  await rm(archive, { force: true });
  throw new CodedError('FAILED', `${archive} cannot be written: tar exited with ${code ?? reason}`);
}
