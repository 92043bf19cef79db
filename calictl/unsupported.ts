/** calicoctl's commands that Cali does not have: each answers with a sentence. */
import type { Command } from 'commander';
import { CodedError } from '../lib/errors.ts';

/** A command of calicoctl that Cali does not have: any arguments, and one sentence. */
export function refuse(parent: Command, name: string, why: string): void {
  parent
    .command(`${name} [arguments...]`)
    .description(`not supported: ${why}`)
    .allowUnknownOption()
    .action(() => {
      const path = [...namesOf(parent), name].join(' ');
      throw new CodedError('UNSUPPORTED', `${path} is not supported: ${why}`);
    });
}

/** From below the program down to a command. */
function namesOf(command: Command): string[] {
  return command.parent ? [...namesOf(command.parent), command.name()] : [];
}
