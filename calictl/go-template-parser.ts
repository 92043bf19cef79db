/** Parses a Go template (text/template): text, values, if, with, range, else and end. Pure. */
import { CodedError } from '../lib/errors.ts';
import { printable } from '../lib/plain-text.ts';

/** A word of a command. */
export type Word =
  | { readonly type: 'field'; readonly isRoot: boolean; readonly path: readonly string[] }
  | { readonly type: 'literal'; readonly value: string | number | boolean }
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'group'; readonly pipeline: Pipeline; readonly path: readonly string[] };

/** Commands, each a list of words. */
type Pipeline = readonly (readonly Word[])[];

interface Block {
  readonly type: 'if' | 'with' | 'range';
  readonly pipeline: Pipeline;
  readonly body: readonly TemplateNode[];
  readonly otherwise: readonly TemplateNode[];
}

export type TemplateNode =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'value'; readonly pipeline: Pipeline }
  | Block;

type Piece = { readonly text: string } | { readonly action: string };

/** Maximum nesting of blocks and of parentheses. */
const MAX_DEPTH = 50;

/** Parses a template. Throws CodedError INPUT with the unreadable part. */
export function parseTemplate(template: string): readonly TemplateNode[] {
  const parser = new TemplateParser(piecesOf(template));
  const { nodes, end } = parser.nodes(0);
  if (end !== undefined) throw fault(`{{${end}}} without a block`);
  return nodes;
}

/** Splits a template into text and actions, alternately. `{{-` and `-}}` remove adjacent white space. */
function piecesOf(template: string): Piece[] {
  const pieces: Piece[] = [];
  let rest = template;
  for (;;) {
    const start = rest.indexOf('{{');
    const text = start < 0 ? rest : rest.slice(0, start);
    if (start < 0) return [...pieces, { text }];
    const [whole = '', left, action, right] =
      /^\{\{(-\s)?(\/\*.*?\*\/|(?:"(?:\\.|[^"\\])*"|`[^`]*`|[^"`])*?)(\s-)?\}\}/s.exec(rest.slice(start)) ??
      [];
    if (whole === '') throw fault(`unclosed action: ${printable(rest.slice(start), 50)}`);
    pieces.push({ text: left ? text.trimEnd() : text }, { action: action?.trim() ?? '' });
    rest = rest.slice(start + whole.length);
    if (right) rest = rest.trimStart();
  }
}

class TemplateParser {
  readonly #pieces: readonly Piece[];
  #at = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  /** Parses nodes up to `end` or `else` of the enclosing block. Returns that; undefined at the end of the template. */
  nodes(depth: number): { nodes: TemplateNode[]; end: string | undefined } {
    if (depth > MAX_DEPTH) throw fault(`blocks are nested more than ${MAX_DEPTH} deep`);
    const nodes: TemplateNode[] = [];
    for (let piece = this.#next(); piece; piece = this.#next()) {
      if ('text' in piece) {
        if (piece.text !== '') nodes.push({ type: 'text', text: piece.text });
        continue;
      }
      const { action } = piece;
      if (/^\/\*.*\*\/$/s.test(action)) continue;
      const [, keyword, rest = ''] = /^(if|with|range|else|end)\b\s*(.*)$/s.exec(action) ?? [];
      if (keyword === 'end' || keyword === 'else') {
        const isChained = keyword === 'else' && /^(if|with)\b/.test(rest);
        if (rest !== '' && !isChained)
          throw fault(`{{${printable(action, 50)}}}: ${keyword} takes no argument`);
        return { nodes, end: action };
      }
      const type = blockType(keyword);
      if (type) nodes.push(this.#block(type, rest, depth));
      else nodes.push({ type: 'value', pipeline: parsePipeline(action) });
    }
    return { nodes, end: undefined };
  }

  #next(): Piece | undefined {
    return this.#pieces[this.#at++];
  }

  #block(type: Block['type'], condition: string, depth: number): Block {
    const pipeline = parsePipeline(condition);
    const { nodes: body, end } = this.nodes(depth + 1);
    if (end === undefined) throw fault(`{{${type} ${printable(condition, 50)}}} has no {{end}}`);
    if (end === 'end') return { type, pipeline, body, otherwise: [] };
    const [, keyword, next = ''] = /^else\s+(if|with)\b\s*(.*)$/s.exec(end) ?? [];
    const chained = blockType(keyword);
    if (chained) return { type, pipeline, body, otherwise: [this.#block(chained, next, depth + 1)] };
    const { nodes: otherwise, end: last } = this.nodes(depth + 1);
    if (last !== 'end') throw fault(`{{${end}}} has no {{end}}`);
    return { type, pipeline, body, otherwise };
  }
}

function blockType(keyword: string | undefined): Block['type'] | undefined {
  return keyword === 'if' || keyword === 'with' || keyword === 'range' ? keyword : undefined;
}

const token =
  /\s*(?:("(?:\\.|[^"\\])*")|`([^`]*)`|(-?\d+(?:\.\d+)?)|(\$(?:\.\w+)+|\$(?!\w)|(?:\.\w+)+|\.)|([A-Za-z]\w*)|([()|])|(\S))/sy;

function parsePipeline(text: string): Pipeline {
  if (text.trim() === '') throw fault('an action is empty');
  token.lastIndex = 0;
  return readPipeline({ text, depth: 0 });
}

/** Parses from token.lastIndex up to the end of the action, or in a group up to its closing parenthesis. */
function readPipeline(reader: { readonly text: string; depth: number }): Pipeline {
  if (++reader.depth > MAX_DEPTH) throw fault(`parentheses are nested more than ${MAX_DEPTH} deep`);
  let words: Word[] = [];
  const commands = [words];
  while (token.lastIndex < reader.text.trimEnd().length) {
    const found = token.exec(reader.text);
    if (!found) throw unread(reader.text);
    const [, quoted, raw, number, field, name, mark, other] = found;
    if (other !== undefined) throw unread(reader.text);
    if (mark === ')') {
      if (--reader.depth === 0) throw unread(reader.text);
      return commands;
    }
    if (mark === '|') {
      words = [];
      commands.push(words);
    } else if (mark === '(') {
      const pipeline = readPipeline(reader);
      const [, fields = ''] = /^((?:\.\w+)*)/.exec(reader.text.slice(token.lastIndex)) ?? [];
      token.lastIndex += fields.length;
      words.push({ type: 'group', pipeline, path: pathOf(fields) });
    } else words.push(wordOf({ quoted, raw, number, field, name }, reader.text));
  }
  if (reader.depth > 1) throw unread(reader.text);
  return commands;
}

interface Parts {
  readonly quoted: string | undefined;
  readonly raw: string | undefined;
  readonly number: string | undefined;
  readonly field: string | undefined;
  readonly name: string | undefined;
}

function wordOf({ quoted, raw, number, field, name }: Parts, text: string): Word {
  if (quoted !== undefined) return { type: 'literal', value: unquoted(quoted, text) };
  if (raw !== undefined) return { type: 'literal', value: raw };
  if (number !== undefined) return { type: 'literal', value: Number(number) };
  if (field !== undefined)
    return { type: 'field', isRoot: field.startsWith('$'), path: pathOf(field.replace('$', '')) };
  if (name === 'true' || name === 'false') return { type: 'literal', value: name === 'true' };
  if (name === undefined) throw unread(text);
  return { type: 'name', name };
}

function pathOf(text: string): string[] {
  return text.split('.').filter((part) => part !== '');
}

/** Returns the value of a quoted string. Supports Go's escapes that JSON also has. */
function unquoted(quoted: string, text: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    throw unread(text);
  }
}

function unread(text: string): CodedError {
  return fault(`cannot be read: {{${printable(text, 80)}}}: variables and definitions are not supported`);
}

function fault(reason: string): CodedError {
  return new CodedError('INPUT', `go-template: ${reason}`);
}
