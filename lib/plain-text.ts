/**
 * The second line of defence behind typed parsing. Text for a command language (ip, bridge, nft, sysctl paths, file
 * names) must have no control characters; text for people shows them escaped.
 */
import { CodedError } from './errors.ts';

// C0, DEL and C1; U+2028 and U+2029; bidirectional controls (Unicode UAX 9); lone surrogates.
const CONTROLS = String.raw`[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]`;
const control = new RegExp(CONTROLS, 'u');
const controls = new RegExp(CONTROLS, 'gu');

// JSON.stringify escapes C0 and lone surrogates itself; a line ends with \n.
const unescapedByJson = /[\u007f-\u009f\u2028\u2029\p{Bidi_Control}]/gu;

/** Maximum length of a log field, a table cell or a quoted value. */
const MAX_SHOWN = 1000;

/** Whether a text contains no control character, no bidirectional control and no lone surrogate. */
export function isPlain(text: string): boolean {
  return !control.test(text);
}

/** Throws CodedError CONTROL_CHARACTER unless the text is plain. The message starts with `what`. */
export function assertPlain(text: string, what: string): void {
  const reason = whyNotPlain(text);
  if (reason !== undefined) throw new CodedError('CONTROL_CHARACTER', `${what}: ${reason}`);
}

/** Why a text is not plain; undefined when it is. */
export function whyNotPlain(text: string): string | undefined {
  const found = control.exec(text);
  if (!found) return undefined;
  const code = found[0].codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
  return `has the control character U+${code} at position ${found.index}: "${printable(text, 100)}"`;
}

/** The text for people, with control characters escaped. Text over `max` characters is cut, and its length added. */
export function printable(text: string, max = MAX_SHOWN): string {
  const shown = text.length > max ? text.slice(0, isHighSurrogate(text, max - 1) ? max - 1 : max) : text;
  const escaped = shown.replace(controls, escapeOne);
  return shown === text ? escaped : `${escaped}… (${text.length} characters)`;
}

/**
 * Multi-line text for a terminal. Line breaks and tabs stay; other control characters are escaped. Within JSON the
 * escapes mean the same characters.
 */
export function forTerminal(text: string): string {
  return text.replace(controls, (one) => (one === '\n' || one === '\t' ? one : escapeOne(one)));
}

/** Escapes control characters that JSON allows as `\uXXXX`. The JSON value stays the same. */
export function escapeForJson(json: string): string {
  return json.replace(unescapedByJson, escapeOne);
}

const short: Readonly<Record<string, string>> = {
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
};

function escapeOne(character: string): string {
  return short[character] ?? String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function isHighSurrogate(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return code >= 0xd800 && code <= 0xdbff;
}
