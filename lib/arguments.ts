/** Command-line options of the programs that are not calictl or the lab. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { messageOf } from './errors.ts';

/** Parses the options. Invalid ones end the process with a sentence on standard error and exit code 1. */
export function parseArguments<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const options = Object.keys(config.options ?? {}).map((name) => `--${name}`);
    process.stderr.write(`${messageOf(error)}. The options are ${options.join(', ')}.\n`);
    process.exit(1);
  }
}
