/** calicoctl's commands that Cali does not support. Each fails with a sentence. */
import type { Command } from 'commander';
import { CodedError } from '../lib/errors.ts';

/** Adds an unsupported command of calicoctl. It accepts any arguments and fails with the reason. */
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

/** Returns the names of commands from below the program down to this one. */
function namesOf(command: Command): string[] {
  return command.parent ? [...namesOf(command.parent), command.name()] : [];
}
