/** The command line of version and `datastore migrate`, and of calicoctl's commands that Cali does not support. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { clusterInformationKind } from '../datastore/schema/cluster.ts';
import { parseDuration } from '../lib/duration.ts';
import { CodedError, messageOf } from '../lib/errors.ts';
import { VERSION } from '../lib/version.ts';
import { accessTo, type Store } from './access.ts';
import { change } from './change.ts';
import type { Surroundings } from './surroundings.ts';
import { refuse } from './unsupported.ts';

export function addClusterCommands(program: Command, { open, print, complain }: Surroundings): void {
  program
    .command('version')
    .description('show the versions of calictl and of the cluster')
    .option('--client', 'only the version of calictl', false)
    .option('--poll <duration>', 'poll at this interval, such as 5s, and show changes until Ctrl-C', poll)
    .action(async (flags: { client: boolean; poll?: number }) => {
      print(`Client Version:    ${VERSION}`);
      if (flags.client) return;
      let shown = '';
      do {
        try {
          const text = await clusterVersion(await open());
          if (text !== shown) print(text);
          shown = text;
        } catch (error) {
          const sentence = `unable to retrieve Cluster Version or Type: ${messageOf(error)}`;
          if (flags.poll === undefined) throw new CodedError('FAILED', sentence, { cause: error });
          complain(sentence);
          shown = '';
        }
        if (flags.poll !== undefined) await sleep(flags.poll);
      } while (flags.poll !== undefined);
    });

  const datastore = program.command('datastore').description('manage the datastore');
  const migrate = datastore.command('migrate').description('lock or unlock the datastore');
  for (const [verb, isReady] of [
    ['lock', false],
    ['unlock', true],
  ] as const)
    migrate
      .command(verb)
      .description(isReady ? 'allow new pods again' : 'reject new pods until unlock')
      .action(async () => {
        await setReady(await open(), isReady, complain);
        print(`Datastore ${verb}ed.`);
      });
  addUnsupported(migrate, datastore, program);
}

/** Returns calicoctl's two lines about the cluster. */
async function clusterVersion(store: Store): Promise<string> {
  const information = await store.get(clusterInformationKind, 'default');
  if (!information)
    throw new CodedError(
      'NOT_FOUND',
      'resource does not exist: ClusterInformation(default): no agent has run yet',
    );
  const { calicoVersion = 'unknown', clusterType = 'unknown' } = information.spec;
  return `Cluster Version:   ${calicoVersion}\nCluster Type:      ${clusterType}`;
}

async function setReady(store: Store, isReady: boolean, note: (sentence: string) => void): Promise<void> {
  const access = accessTo(store, clusterInformationKind, note);
  const target = { name: 'default', namespace: undefined };
  await change(access, clusterInformationKind.kind, target, (object) => {
    const { spec } = object;
    return { ...object, spec: { ...(typeof spec === 'object' ? spec : {}), datastoreReady: isReady } };
  });
}

/** Adds unsupported commands. Each prints a sentence, regardless of its arguments. */
function addUnsupported(migrate: Command, datastore: Command, program: Command): void {
  const parents = { migrate, datastore, program };
  const oneDatastore = 'Cali stores everything in the Kubernetes API, so there is nothing to migrate';
  const commands: readonly [keyof typeof parents | Command, string, string][] = [
    ['migrate', 'export', oneDatastore],
    ['migrate', 'import', oneDatastore],
    ['datastore', 'migrate-policy-names', 'Cali has no network policy'],
    [
      'program',
      'convert',
      'Cali reads only projectcalico.org/v3: convert older manifests with calicoctl 3.20',
    ],
    [
      program.command('cluster').description('inspect the whole cluster'),
      'diags',
      'run `calictl node diags` in the cali-node container of each node',
    ],
  ];
  for (const [parent, name, why] of commands)
    refuse(typeof parent === 'string' ? parents[parent] : parent, name, why);
}

/** Timers above 2^31 - 1 ms, 24 days, would expire at once. */
const MAX_POLL_MS = 86_400_000;

function poll(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0 && ms <= MAX_POLL_MS) return ms;
  throw new InvalidArgumentError('must be a duration such as 5s, of at most 24h');
}
