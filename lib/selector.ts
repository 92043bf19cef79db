/**
 * Calico's selector language over labels: `==`, `!=`, `in {…}`, `not in {…}`, `has()`, `!has()`,
 * `contains`, `starts with`, `ends with`, `all()`, `&&`, `||`, `!`, parentheses.
 */
import { printable } from './plain-text.ts';

/** A parsed selector: whether a set of labels matches. */
export type Selector = (labels: Readonly<Record<string, string>>) => boolean;

/** Maximum length in characters; Calico's API accepts 1024. */
const MAX_LENGTH = 4096;
/** Maximum depth of nested parentheses and negations. */
const MAX_DEPTH = 32;

type Token = { readonly text: string; readonly quoted: boolean };

/** Parses a selector. Returns a reason when it is invalid. An empty text selects everything, as `all()` does. */
export function parseSelector(text: string): { ok: true; matches: Selector } | { ok: false; reason: string } {
  if (text.length > MAX_LENGTH)
    return { ok: false, reason: `it has ${text.length} characters, more than ${MAX_LENGTH}` };
  if (text.trim() === '') return { ok: true, matches: () => true };
  try {
    const parser = new Parser(tokenize(text));
    const matches = parser.or();
    parser.end();
    return { ok: true, matches };
  } catch (error) {
    if (error instanceof SyntaxError) return { ok: false, reason: error.message };
    throw error;
  }
}

const tokenPattern = /\s*(?:("[^"]*"|'[^']*')|(&&|\|\||==|!=|[!(){},])|([a-zA-Z0-9_./-]+))/y;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  tokenPattern.lastIndex = 0;
  const source = text.trimEnd();
  while (tokenPattern.lastIndex < source.length) {
    const at = tokenPattern.lastIndex;
    const match = tokenPattern.exec(source);
    if (!match)
      throw new SyntaxError(`unexpected "${printable(source.slice(at).trim(), 50)}" at position ${at}`);
    if (match[1]) tokens.push({ text: match[1].slice(1, -1), quoted: true });
    else tokens.push({ text: match[2] ?? match[3] ?? '', quoted: false });
  }
  return tokens;
}

/** Value of a label. Undefined when it is absent, also for names such as `constructor` that every object inherits. */
function labelValue(labels: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined;
}

function isAmong(values: ReadonlySet<string>, value: string | undefined): boolean {
  return value !== undefined && values.has(value);
}

class Parser {
  #at = 0;
  #depth = 0;
  readonly #tokens: readonly Token[];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  or(): Selector {
    const first = this.#and();
    const terms = [first];
    while (this.#take('||')) terms.push(this.#and());
    return terms.length === 1 ? first : (labels) => terms.some((term) => term(labels));
  }

  end(): void {
    const rest = this.#tokens[this.#at];
    if (rest) throw new SyntaxError(`unexpected "${printable(rest.text, 50)}" after the selector's end`);
  }

  #and(): Selector {
    const first = this.#unary();
    const terms = [first];
    while (this.#take('&&')) terms.push(this.#unary());
    return terms.length === 1 ? first : (labels) => terms.every((term) => term(labels));
  }

  #unary(): Selector {
    if (this.#take('!')) {
      const inner = this.#within(() => this.#unary());
      return (labels) => !inner(labels);
    }
    if (this.#take('(')) {
      const inner = this.#within(() => this.or());
      this.#expect(')');
      return inner;
    }
    return this.#term();
  }

  /** Parses one level deeper. */
  #within(parse: () => Selector): Selector {
    if (++this.#depth > MAX_DEPTH) throw new SyntaxError(`it is nested deeper than ${MAX_DEPTH} levels`);
    const inner = parse();
    this.#depth--;
    return inner;
  }

  #term(): Selector {
    const name = this.#word('a label name');
    if (name === 'all' && this.#take('(')) {
      this.#expect(')');
      return () => true;
    }
    if (name === 'global' && this.#take('(')) {
      throw new SyntaxError('global() is allowed only in the namespaceSelector of a policy rule');
    }
    if (name === 'has' && this.#take('(')) {
      const label = this.#word('a label name');
      this.#expect(')');
      return (labels) => Object.hasOwn(labels, label);
    }
    return this.#comparison(name);
  }

  #comparison(name: string): Selector {
    const operator = this.#next('an operator');
    switch (operator.text) {
      case '==': {
        const value = this.#value();
        return (labels) => labelValue(labels, name) === value;
      }
      case '!=': {
        const value = this.#value();
        return (labels) => labelValue(labels, name) !== value;
      }
      case 'in': {
        const values = this.#set();
        return (labels) => isAmong(values, labelValue(labels, name));
      }
      case 'not': {
        this.#expect('in');
        const values = this.#set();
        return (labels) => !isAmong(values, labelValue(labels, name));
      }
      case 'contains': {
        const value = this.#value();
        return (labels) => labelValue(labels, name)?.includes(value) ?? false;
      }
      case 'starts': {
        this.#expect('with');
        const value = this.#value();
        return (labels) => labelValue(labels, name)?.startsWith(value) ?? false;
      }
      case 'ends': {
        this.#expect('with');
        const value = this.#value();
        return (labels) => labelValue(labels, name)?.endsWith(value) ?? false;
      }
      default:
        throw new SyntaxError(
          `"${printable(operator.text, 50)}" is not an operator (==, !=, in, not in, contains, …)`,
        );
    }
  }

  #set(): Set<string> {
    this.#expect('{');
    const values = new Set<string>();
    while (!this.#take('}')) {
      values.add(this.#value());
      if (!this.#take(',')) {
        this.#expect('}');
        break;
      }
    }
    return values;
  }

  #value(): string {
    const token = this.#next('a quoted value');
    if (!token.quoted) throw new SyntaxError(`the value ${printable(token.text, 50)} must be in quotes`);
    return token.text;
  }

  #word(wanted: string): string {
    const token = this.#next(wanted);
    if (token.quoted || !/^[a-zA-Z0-9]/.test(token.text)) {
      throw new SyntaxError(`expected ${wanted}, found "${printable(token.text, 50)}"`);
    }
    return token.text;
  }

  #next(wanted: string): Token {
    const token = this.#tokens[this.#at++];
    if (!token) throw new SyntaxError(`the selector ends where ${wanted} is expected`);
    return token;
  }

  #take(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (!token || token.quoted || token.text !== text) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) {
      throw new SyntaxError(
        `expected "${text}", found "${printable(this.#tokens[this.#at]?.text ?? 'the end', 50)}"`,
      );
    }
  }
}
