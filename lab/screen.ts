/** The lab's output: completed steps, and on a terminal a line that shows what the lab waits for. */
import { asciiOnly, coloured, listed, plain, type Style, step } from './text.ts';

/** A wait in progress, and the names of what is still missing. */
export interface Waiting {
  readonly what: string;
  readonly missing: () => readonly string[];
}

/** The capabilities of a terminal, from its type, environment and size. */
export interface Terminal {
  readonly isTerminal: boolean;
  readonly columns: number;
  readonly style: Style;
  readonly isUnicode: boolean;
}

const COLUMNS = 80;
/** Interval at which a terminal's line is updated, and at which a line is written without a terminal. */
const TERMINAL_MS = 500;
const PIPE_MS = 10_000;

/** Colour only on a terminal, and not with NO_COLOR (no-color.org) or TERM=dumb. */
export function terminalOf(
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  environment: Readonly<Record<string, string | undefined>>,
): Terminal {
  const isDumb = environment['TERM'] === 'dumb';
  const isTerminal = stream.isTTY === true && !isDumb;
  const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'] || 'UTF-8';
  return {
    isTerminal,
    columns: Math.max(40, stream.columns || COLUMNS),
    style: isTerminal && !environment['NO_COLOR'] ? coloured : plain,
    isUnicode: stream.isTTY !== true || /utf-?8/i.test(locale),
  };
}

export class Screen {
  readonly terminal: Terminal;
  readonly #write: (text: string) => void;
  readonly #startedAt = performance.now();
  #waiting: (Waiting & { readonly timer: NodeJS.Timeout }) | undefined;

  constructor(terminal: Terminal, write: (text: string) => void) {
    this.terminal = terminal;
    this.#write = write;
  }

  get seconds(): string {
    return ((performance.now() - this.#startedAt) / 1000).toFixed(1);
  }

  /** Writes whole lines. */
  say(text: string): void {
    this.#erase();
    this.#print(`${text}\n`);
  }

  /** Writes a step that is completed or has failed. */
  step(text: string, isGood = true): void {
    this.wait(undefined);
    const { columns, style } = this.terminal;
    this.say(step(isGood ? '✓' : '✗', text, this.seconds, columns, style));
  }

  /** Shows what is missing until the next step; undefined ends the display. */
  wait(waiting: Waiting | undefined): void {
    if (this.#waiting) clearInterval(this.#waiting.timer);
    this.#erase();
    this.#waiting = undefined;
    if (!waiting) return;
    const timer = setInterval(() => this.#show(), this.terminal.isTerminal ? TERMINAL_MS : PIPE_MS);
    timer.unref();
    this.#waiting = { ...waiting, timer };
  }

  #show(): void {
    if (!this.#waiting) return;
    const { what, missing } = this.#waiting;
    const names = missing();
    const text = names.length === 0 ? what : `${what}: waiting for ${listed(names)}`;
    const { isTerminal, columns, style } = this.terminal;
    if (!isTerminal) {
      this.#print(`${step('…', text, this.seconds, columns, style)}\n`);
      return;
    }
    // One line, so that it can be erased.
    const room = columns - 16;
    const cut = text.length > room ? `${text.slice(0, room - 1)}…` : text;
    this.#erase();
    this.#print(step('…', cut, this.seconds, columns, style));
  }

  #erase(): void {
    if (this.#waiting && this.terminal.isTerminal) this.#write('\r\u001B[K');
  }

  #print(text: string): void {
    this.#write(this.terminal.isUnicode ? text : asciiOnly(text));
  }
}
