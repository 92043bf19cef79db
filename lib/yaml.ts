/**
 * Reads YAML as kubectl does (sigs.k8s.io/yaml): merge keys, and the booleans of YAML 1.1. Every fault is a sentence with
 * its line.
 */
import {
  type CST,
  type Document,
  isCollection,
  LineCounter,
  type Node,
  Parser,
  parseAllDocuments,
  Scalar,
  type ScalarTag,
  stringify,
  type Tags,
  visit,
} from 'yaml';
import { messageOf } from './errors.ts';
import { printable } from './plain-text.ts';

/** A document's value, or a sentence why it has none. */
export type YamlReading = { readonly value: unknown } | { readonly fault: string };

/** Objects of the API have some ten levels. The library composes recursively and would exhaust the stack. */
const MAX_DEPTH = 100;

/** Booleans of YAML 1.1, as kubectl's parser has them. */
const booleans: ScalarTag = {
  identify: (value) => typeof value === 'boolean',
  default: true,
  tag: 'tag:yaml.org,2002:bool',
  test: /^(?:y|Y|yes|Yes|YES|on|On|ON|true|True|TRUE|n|N|no|No|NO|off|Off|OFF|false|False|FALSE)$/,
  resolve: (text) => Object.assign(new Scalar(/^(?:y|on|t)/i.test(text)), { source: text }),
};

/** Octal numbers of YAML 1.1. */
const octals: ScalarTag = {
  identify: () => false,
  default: true,
  tag: 'tag:yaml.org,2002:int',
  format: 'OCT',
  test: /^[-+]?0[0-7]+$/,
  resolve: (text) => Number.parseInt(text, 8),
};

const customTags = (tags: Tags): Tags => [
  booleans,
  octals,
  ...tags.filter((tag) => typeof tag === 'string' || tag.tag !== booleans.tag),
];

/** Returns a reading per document of a text. Never throws. */
export function readYaml(text: string): YamlReading[] {
  const tooDeep = deepLine(text);
  if (tooDeep !== undefined)
    return [{ fault: `line ${tooDeep} is nested deeper than ${MAX_DEPTH} levels: no object is` }];
  const lines = new LineCounter();
  // At log level `error` the library emits no process warnings.
  const parsed = parseAllDocuments(text, {
    merge: true,
    logLevel: 'error',
    resolveKnownTags: false,
    customTags,
    lineCounter: lines,
  });
  const readings = Array.isArray(parsed) ? parsed.map((document) => readingOf(document, lines)) : [];
  const template = readings.some((one) => 'fault' in one) ? templateLine(text) : undefined;
  if (template === undefined) return readings;
  return [
    {
      fault: `line ${template} has {{ }} of a template: render it first, such as with "helm template", or quote the value`,
    },
  ];
}

/** Returns the value of a text with one document; undefined when it is empty. Throws SyntaxError with a sentence. */
export function parseYaml(text: string): unknown {
  const [first, second] = readYaml(text);
  if (first && 'fault' in first) throw new SyntaxError(first.fault);
  if (second) throw new SyntaxError('it has several documents: keep one');
  return first?.value;
}

/** Returns a value as YAML, with quotes around text that YAML 1.1 would read as another type, such as "on". */
export function toYaml(value: unknown): string {
  return stringify(value, { compat: 'yaml-1.1' }).trimEnd();
}

function readingOf(document: Document.Parsed, lines: LineCounter): YamlReading {
  const [error] = document.errors;
  // Only the first line is a sentence; the others quote the file.
  if (error) return { fault: (error.message.split('\n')[0] ?? '').replace(/:$/, '') };
  const fault = faultOf(document, lines);
  if (fault !== undefined) return { fault };
  try {
    return { value: document.toJS() };
  } catch (thrown) {
    // The library's error for aliases that multiply.
    if (thrown instanceof ReferenceError)
      return { fault: 'its aliases multiply too often: write the values out' };
    return { fault: messageOf(thrown) };
  }
}

/** Returns a sentence for what a JSON object cannot express: keys that are no text, and aliases without an end. */
function faultOf(document: Document.Parsed, lines: LineCounter): string | undefined {
  let fault: string | undefined;
  const at = (node: unknown) => `line ${lines.linePos((node as Node).range?.[0] ?? 0).line}`;
  visit(document, {
    Pair(_, { key }) {
      if (!isCollection(key)) return undefined;
      fault = `${at(key)}: a key has to be text, not a map or a list`;
      return visit.BREAK;
    },
    Alias(_, alias, path) {
      const source = alias.resolve(document);
      const name = printable(alias.source, 50);
      if (!source) fault = `${at(alias)}: alias *${name} has no anchor &${name} before it`;
      else if (path.includes(source))
        fault = `${at(alias)}: alias *${name} refers to a value that contains it: remove it`;
      return fault === undefined ? undefined : visit.BREAK;
    },
  });
  return fault;
}

/** Returns the line of the first `{{` outside of quotes and comments. */
function templateLine(text: string): number | undefined {
  const index = text.split('\n').findIndex((line) => /^[^#"']*\{\{/.test(line));
  return index < 0 ? undefined : index + 1;
}

/** Returns the first line that is nested too deeply. The library's parser, unlike its composer, does not recurse. */
function deepLine(text: string): number | undefined {
  let level: CST.Token[] = [...new Parser().parse(text)];
  for (let depth = 0; depth <= MAX_DEPTH; depth++) level = level.flatMap(childrenOf);
  const [first] = level;
  return first && text.slice(0, first.offset).split('\n').length;
}

function childrenOf(token: CST.Token): CST.Token[] {
  if (token.type === 'document') return token.value ? [token.value] : [];
  return 'items' in token ? token.items.flatMap(({ key, value }) => [key ?? [], value ?? []].flat()) : [];
}
