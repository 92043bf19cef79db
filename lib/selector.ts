/**
 * Calico's selector language over labels: `==`, `!=`, `in {…}`, `not in {…}`, `has()`, `!has()`,
 * `contains`, `starts with`, `ends with`, `all()`, `&&`, `||`, `!`, parentheses.
 */

/** A parsed selector: whether a set of labels matches. */
export type Selector = (labels: Readonly<Record<string, string>>) => boolean;

type Token = { readonly text: string; readonly quoted: boolean };

/** Parses a selector; the reason when it is none. An empty text selects everything, as `all()` does. */
export function parseSelector(text: string): { ok: true; matches: Selector } | { ok: false; reason: string } {
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
    if (!match) throw new SyntaxError(`unexpected "${source.slice(at).trim()}" at position ${at}`);
    if (match[1]) tokens.push({ text: match[1].slice(1, -1), quoted: true });
    else tokens.push({ text: (match[2] ?? match[3])!, quoted: false });
  }
  return tokens;
}

class Parser {
  #at = 0;
  readonly #tokens: readonly Token[];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  or(): Selector {
    let left = this.#and();
    while (this.#take('||')) {
      const a = left;
      const b = this.#and();
      left = (labels) => a(labels) || b(labels);
    }
    return left;
  }

  end(): void {
    const rest = this.#tokens[this.#at];
    if (rest) throw new SyntaxError(`unexpected "${rest.text}" after the selector's end`);
  }

  #and(): Selector {
    let left = this.#unary();
    while (this.#take('&&')) {
      const a = left;
      const b = this.#unary();
      left = (labels) => a(labels) && b(labels);
    }
    return left;
  }

  #unary(): Selector {
    if (this.#take('!')) {
      const inner = this.#unary();
      return (labels) => !inner(labels);
    }
    if (this.#take('(')) {
      const inner = this.or();
      this.#expect(')');
      return inner;
    }
    return this.#term();
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
      return (labels) => label in labels;
    }
    return this.#comparison(name);
  }

  #comparison(name: string): Selector {
    const operator = this.#next('an operator');
    switch (operator.text) {
      case '==': {
        const value = this.#value();
        return (labels) => labels[name] === value;
      }
      case '!=': {
        const value = this.#value();
        return (labels) => labels[name] !== value;
      }
      case 'in': {
        const values = this.#set();
        return (labels) => name in labels && values.has(labels[name]!);
      }
      case 'not': {
        this.#expect('in');
        const values = this.#set();
        return (labels) => !(name in labels && values.has(labels[name]!));
      }
      case 'contains': {
        const value = this.#value();
        return (labels) => labels[name]?.includes(value) ?? false;
      }
      case 'starts': {
        this.#expect('with');
        const value = this.#value();
        return (labels) => labels[name]?.startsWith(value) ?? false;
      }
      case 'ends': {
        this.#expect('with');
        const value = this.#value();
        return (labels) => labels[name]?.endsWith(value) ?? false;
      }
      default:
        throw new SyntaxError(`"${operator.text}" is not an operator (==, !=, in, not in, contains, …)`);
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
    if (!token.quoted) throw new SyntaxError(`the value ${token.text} must be in quotes`);
    return token.text;
  }

  #word(wanted: string): string {
    const token = this.#next(wanted);
    if (token.quoted || !/^[a-zA-Z0-9]/.test(token.text)) {
      throw new SyntaxError(`expected ${wanted}, found "${token.text}"`);
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
      throw new SyntaxError(`expected "${text}", found "${this.#tokens[this.#at]?.text ?? 'the end'}"`);
    }
  }
}
