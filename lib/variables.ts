/** Settings from environment variables. Each fault names the variable, its value and the remedy. */
import { CodedError } from './errors.ts';
import { printable } from './plain-text.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const truths: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(['true', 'yes', 'on', 'y', 't', '1'].map((word) => [word, true])),
  ...Object.fromEntries(['false', 'no', 'off', 'n', 'f', '0'].map((word) => [word, false])),
};

/** Reads variables as typed values. An empty variable counts as absent. Every method throws CodedError CONFIG. */
export class Variables {
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  text(name: string): string | undefined {
    return this.#environment[name] || undefined;
  }

  /** Refuses the value of a variable. `remedy` is a clause such as `must be Auto or Disabled`. */
  refuse(name: string, remedy: string): never {
    throw new CodedError('CONFIG', `${name}=${printable(this.text(name) ?? '', 100)}: ${remedy}`);
  }

  /** Returns the parsed value; undefined when absent. `parse` returns undefined for invalid text. */
  parsed<T>(name: string, parse: (text: string) => T | undefined, remedy: string): T | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : (parse(text) ?? this.refuse(name, remedy));
  }

  whole<T extends number | undefined>(
    name: string,
    fallback: T,
    minimum: number,
    maximum: number,
  ): number | T {
    const parse = (text: string) => {
      const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
      return value >= minimum && value <= maximum ? value : undefined;
    };
    return this.parsed(name, parse, `must be a whole number from ${minimum} to ${maximum}`) ?? fallback;
  }

  /** Returns the choice, in the case of `choices`. */
  oneOf<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const list = `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
    return this.parsed(name, (text) => choices.find((one) => one === text), `must be ${list}`) ?? fallback;
  }

  truth(name: string, fallback: boolean): boolean {
    const parse = (text: string) => {
      const word = text.toLowerCase();
      return Object.hasOwn(truths, word) ? truths[word] : undefined;
    };
    return this.parsed(name, parse, 'must be true or false') ?? fallback;
  }
}
