/** The command line of get, apply, create, replace, delete, patch, label and validate. */
import { type Command, Option } from 'commander';
import type { Document } from '../datastore/documents.ts';
import { apiVersionOf } from '../datastore/schema/resource.ts';
import { CodedError } from '../lib/errors.ts';
import type { Done } from './done.ts';
import { get, getDocuments } from './get.ts';
import { readInput } from './input.ts';
import { kindNamed } from './kinds.ts';
import { label } from './label.ts';
import { parseOutput, withTemplate } from './output.ts';
import { type PatchFlags, patch, patchForms } from './patch.ts';
import { repeatable } from './repeatable.ts';
import type { Surroundings } from './surroundings.ts';
import { perform, type VerbFlags } from './verbs.ts';
import { warningsAbout } from './warnings.ts';

interface FileFlags {
  readonly filename?: readonly string[];
  readonly recursive: boolean;
  readonly skipEmpty: boolean;
}

function withFiles(command: Command): Command {
  return command
    .option(
      '-f, --filename <file>',
      'YAML or JSON file, folder, or - for standard input; repeatable',
      repeatable,
    )
    .option('-R, --recursive', 'include subfolders', false)
    .option('--skip-empty', 'ignore files without resources', false);
}

const withNamespace = (command: Command) =>
  command.option('-n, --namespace <namespace>', 'namespace, for namespaced kinds');

export function addResourceCommands(
  program: Command,
  { open, print, complain, setExitCode, columns }: Surroundings,
): void {
  const finish = ({ text, failures }: Done) => {
    if (text !== '') print(text);
    for (const failure of failures) complain(failure);
    if (failures.length > 0) setExitCode(1);
  };

  /** Warns about fields without effect. */
  const warn = (documents: readonly Document[]) => {
    for (const { definition, object } of documents)
      for (const warning of warningsAbout(definition, object)) complain(warning);
  };

  const getting = program
    .command('get [kind] [names...]')
    .description('show resources')
    .addOption(
      new Option(
        '-o, --output <form>',
        'format: ps, wide, yaml, json, name, custom-columns=NAME,…, go-template=… or go-template-file=FILE',
      )
        .argParser(parseOutput)
        .default(parseOutput('ps'), 'ps'),
    )
    .option(
      '-A, --all-namespaces',
      'all namespaces, for namespaced kinds (the default without a name)',
      false,
    )
    .addOption(new Option('-a', 'as -A').hideHelp())
    .option('--export', 'omit fields that are specific to this cluster, for named resources', false);
  withFiles(withNamespace(getting)).action(
    async (
      kind: string | undefined,
      names: string[],
      flags: FileFlags & {
        output: ReturnType<typeof parseOutput>;
        namespace?: string;
        allNamespaces: boolean;
        a?: boolean;
        export: boolean;
      },
    ) => {
      const { namespace } = flags;
      const output = await withTemplate(flags.output);
      const allNamespaces = flags.allNamespaces || flags.a === true;
      const options = { output, namespace, allNamespaces, isExport: flags.export, columns: columns() };
      if (flags.filename) {
        refuseBoth('get', kind);
        const documents = await readInput({ ...flags, filename: flags.filename, isNameEnough: true });
        finish(await getDocuments(await open(), documents, options, complain));
        return;
      }
      if (kind === undefined)
        throw new CodedError('INPUT', 'get: name a kind, such as `calictl get ippools`, or a file with -f');
      kindNamed(kind);
      finish(await get(await open(), kind, names, options, complain));
    },
  );

  for (const verb of ['apply', 'create', 'replace'] as const) {
    const command = withFiles(
      withNamespace(program.command(verb).description(`${verb} resources from files`)),
    );
    if (verb === 'create') command.option('--skip-exists', 'ignore resources that already exist', false);
    command.action(async (flags: FileFlags & VerbFlags) => {
      const documents = await readFiles(verb, flags);
      warn(documents);
      finish(await perform(await open(), verb, documents, flags, complain));
    });
  }

  withFiles(
    withNamespace(
      program.command('delete [kind] [names...]').description('delete resources by name or from files'),
    ),
  )
    .option('-s, --skip-not-exists', 'ignore resources that do not exist', false)
    .action(async (kind: string | undefined, names: string[], flags: FileFlags & VerbFlags) => {
      const documents = flags.filename
        ? await filesToDelete(flags.filename, kind, flags)
        : named(kind, names);
      finish(await perform(await open(), 'delete', documents, flags, complain));
    });

  withNamespace(program.command('patch <kind> <name>').description('change fields of one resource'))
    .requiredOption('-p, --patch <patch>', 'changes, as JSON or YAML; null removes a field')
    .addOption(new Option('-t, --type <type>', 'type of the patch').choices(patchForms).default('strategic'))
    .action(async (kind: string, name: string, flags: PatchFlags) => {
      print(await patch(await open(), kind, name, flags, complain));
    });

  withNamespace(
    program
      .command('label <kind> <name> <labels...>')
      .description('set labels (key=value), or remove them (key --remove)'),
  )
    .option('--overwrite', 'replace labels that have another value', false)
    .option('--remove', 'remove the labels', false)
    .action(
      async (
        kind: string,
        name: string,
        labels: string[],
        flags: { overwrite: boolean; remove: boolean; namespace?: string },
      ) => {
        print(await label(await open(), kind, name, labels, flags, complain));
      },
    );

  withFiles(
    withNamespace(program.command('validate').description('validate files without accessing the datastore')),
  ).action(async (flags: FileFlags & VerbFlags) => {
    const documents = await readFiles('validate', flags);
    warn(documents);
    print(`Successfully validated ${countOf(documents)}`);
  });
}

function countOf(documents: readonly Document[]): string {
  const [kind, ...others] = new Set(documents.map(({ object }) => object.kind));
  const isOneKind = kind !== undefined && others.length === 0;
  return `${documents.length} ${isOneKind ? `'${kind}' ` : ''}resource(s)`;
}

async function readFiles(verb: string, flags: FileFlags): Promise<Document[]> {
  if (!flags.filename)
    throw new CodedError('INPUT', `${verb}: name a file or a folder with -f, or - for standard input`);
  return readInput({ ...flags, filename: flags.filename });
}

async function filesToDelete(
  filename: readonly string[],
  kind: string | undefined,
  flags: FileFlags,
): Promise<Document[]> {
  refuseBoth('delete', kind);
  return readInput({ ...flags, filename, isNameEnough: true });
}

function refuseBoth(verb: string, kind: string | undefined): void {
  if (kind !== undefined)
    throw new CodedError('INPUT', `${verb}: name either a kind and its resources, or files with -f`);
}

function named(kind: string | undefined, names: readonly string[]): Document[] {
  if (!kind || names.length === 0)
    throw new CodedError('INPUT', 'delete: name a kind and its resources, or a file with -f');
  if (names.includes('')) throw new CodedError('INPUT', 'resource name may not be empty');
  const definition = kindNamed(kind);
  return names.map((name) => ({
    definition,
    object: { apiVersion: apiVersionOf(definition), kind: definition.kind, metadata: { name } },
    place: '',
  }));
}
