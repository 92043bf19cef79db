/**
 * `-o go-template`: the part of Go's text/template that tables of resources need. The data has the form that calicoctl
 * passes to templates. Pure.
 */
import { CodedError } from '../lib/errors.ts';
import { parseTemplate, type TemplateNode, type Word } from './go-template-parser.ts';

/** Maximum of steps of a rendering, so that every template terminates. */
const MAX_STEPS = 1_000_000;

/** Renders a template. Throws CodedError INPUT for an invalid template. */
export function renderTemplate(template: string, data: unknown): string {
  const renderer = new Renderer(data);
  return renderer.render(parseTemplate(template), data);
}

class Renderer {
  readonly #root: unknown;
  #steps = 0;

  constructor(root: unknown) {
    this.#root = root;
  }

  render(nodes: readonly TemplateNode[], dot: unknown): string {
    return nodes.map((node) => this.#renderOne(node, dot)).join('');
  }

  #renderOne(node: TemplateNode, dot: unknown): string {
    if (++this.#steps > MAX_STEPS) throw fault('the template takes too many steps');
    switch (node.type) {
      case 'text':
        return node.text;
      case 'value':
        return textOf(this.#pipeline(node.pipeline, dot));
      case 'if':
        return this.render(isTrue(this.#pipeline(node.pipeline, dot)) ? node.body : node.otherwise, dot);
      case 'with': {
        const value = this.#pipeline(node.pipeline, dot);
        return isTrue(value) ? this.render(node.body, value) : this.render(node.otherwise, dot);
      }
      case 'range': {
        const items = itemsOf(this.#pipeline(node.pipeline, dot));
        if (items.length === 0) return this.render(node.otherwise, dot);
        return items.map((item) => this.render(node.body, item)).join('');
      }
      default:
        throw new Error(`unreachable ${node satisfies never}`);
    }
  }

  /** Evaluates a pipeline: each command's result is the last argument of the next. */
  #pipeline(pipeline: readonly (readonly Word[])[], dot: unknown): unknown {
    let result: unknown;
    for (const [index, command] of pipeline.entries()) {
      const [first, ...rest] = command;
      if (!first) throw fault('a pipeline has an empty command');
      const args = rest.map((word) => this.#word(word, dot));
      const piped = index > 0 ? [...args, result] : args;
      if (first.type === 'name') result = call(first.name, piped);
      else if (piped.length > 0) throw fault('only a function takes arguments');
      else result = this.#word(first, dot);
    }
    return result;
  }

  #word(word: Word, dot: unknown): unknown {
    switch (word.type) {
      case 'field':
        return fieldsOf(word.isRoot ? this.#root : dot, word.path);
      case 'literal':
        return word.value;
      case 'group':
        return fieldsOf(this.#pipeline(word.pipeline, dot), word.path);
      case 'name':
        return call(word.name, []);
      default:
        throw new Error(`unreachable ${word satisfies never}`);
    }
  }
}

/** Go's names for the embedded parts of an object. */
const goNames = new Map([
  ['objectmeta', 'metadata'],
  ['listmeta', 'metadata'],
]);

/** Returns a field by Go's or JSON's names, in any case: `Spec.CIDR` is spec.cidr. */
function fieldsOf(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, name) => {
    if (typeof at !== 'object' || at === null || Array.isArray(at)) return undefined;
    const wanted = name.toLowerCase();
    if (wanted === 'typemeta') return at;
    const found = Object.entries(at).find(([key]) => key.toLowerCase() === wanted);
    if (found) return found[1];
    return Object.entries(at).find(([key]) => key === goNames.get(wanted))?.[1];
  }, value);
}

function itemsOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return typeof value === 'object' && value !== null ? Object.values(value) : [];
}

/** Whether a value is true in Go's templates: empty values are false. */
function isTrue(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return itemsOf(value).length > 0;
  return Boolean(value);
}

/** Formats approximately as Go's %v: lists in brackets, maps as `map[key:value]`, absent values as empty text. */
function textOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return `[${value.map(textOf).join(' ')}]`;
  if (typeof value === 'object')
    return `map[${Object.entries(value)
      .map(([key, item]) => `${key}:${textOf(item)}`)
      .join(' ')}]`;
  return String(value);
}

function call(name: string, args: readonly unknown[]): unknown {
  const run = functions.get(name);
  if (!run) throw fault(`function "${name}" is not supported: use ${[...functions.keys()].join(', ')}`);
  return run(args);
}

const functions = new Map<string, (args: readonly unknown[]) => unknown>([
  ['join', ([items, separator]) => joined(items, separator, 0)],
  ['joinAndTruncate', ([items, separator, max]) => joined(items, separator, Number(max))],
  ['len', ([value]) => (typeof value === 'string' ? value.length : itemsOf(value).length)],
  ['index', ([value, ...keys]) => keys.reduce(indexed, value)],
  ['eq', ([first, ...others]) => others.some((other) => textOf(other) === textOf(first))],
  ['ne', ([first, other]) => textOf(first) !== textOf(other)],
  ['not', ([value]) => !isTrue(value)],
  ['and', (args) => args.find((value) => !isTrue(value)) ?? args.at(-1)],
  ['or', (args) => args.find(isTrue) ?? args.at(-1)],
  ['print', (args) => args.map(textOf).join('')],
  ['println', (args) => `${args.map(textOf).join(' ')}\n`],
  ['printf', ([format, ...args]) => printf(textOf(format), args)],
]);

function indexed(value: unknown, key: unknown): unknown {
  if (Array.isArray(value)) return value[Number(key)];
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).find(([name]) => name === textOf(key))?.[1];
}

/** Joins lists, and maps as sorted `key=value`, as calicoctl's functions do. */
function joined(items: unknown, separator: unknown, max: number): string {
  const isMap = typeof items === 'object' && items !== null && !Array.isArray(items);
  const texts = isMap
    ? Object.entries(items)
        .map(([key, value]) => `${key}=${textOf(value)}`)
        .toSorted()
    : Array.isArray(items)
      ? items.map(textOf)
      : [textOf(items)];
  const text = texts.join(textOf(separator));
  return max > 3 && text.length > max ? `${text.slice(0, max - 3)}...` : text;
}

/** Implements printf with the verbs v, s, d, t and q, and a width. */
function printf(format: string, args: readonly unknown[]): string {
  let next = 0;
  return format.replace(/%(-?)(\d{0,3})([vsdtq%])/g, (_, dash: string, width: string, verb: string) => {
    if (verb === '%') return '%';
    const text = textOf(args[next++]);
    const shown = verb === 'q' ? JSON.stringify(text) : text;
    return dash ? shown.padEnd(Number(width)) : shown.padStart(Number(width));
  });
}

function fault(reason: string): CodedError {
  return new CodedError('INPUT', `go-template: ${reason}`);
}
