/**
 * CNI configurations as a stranger may read them: what authenticates is cut out, by the name of its key at any depth
 * and by what a text looks like. Other programs' files lie in the same folder, so it rather cuts too much.
 */

/** What stands in place of what was cut out. */
export const CUT = '(cut out)';

const SECRET_KEY =
  /token|passw|passphrase|secret|credential|cert|key|kubeconfig|auth|private|bearer|cookie|ca_?(data|file|bundle)/i;
/** PEM blocks, JSON web tokens, URLs with a password, options such as `--token=…`, paths of kubeconfigs. */
const SECRET_TEXT = [
  /-----BEGIN/,
  /\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/,
  /\b[a-z][\w+.-]*:\/\/[^\s/@]+@/i,
  /(token|passw|secret|credential|bearer|key)[\w-]*[=: ]\s*\S/i,
  /kubeconfig/i,
];

/** A JSON value without its secrets. A list entry `{name: TOKEN, value: …}` counts as a key and its value. */
export function redact(value: unknown): unknown {
  if (typeof value === 'string') return SECRET_TEXT.some((pattern) => pattern.test(value)) ? CUT : value;
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== 'object' || value === null) return value;
  const entries: [string, unknown][] = Object.entries(value);
  const isNamedSecret = entries.some(
    ([key, inner]) => /^(name|key)$/i.test(key) && typeof inner === 'string' && SECRET_KEY.test(inner),
  );
  return Object.fromEntries(
    entries.map(([key, inner]) => {
      const isSecret = SECRET_KEY.test(key) || (isNamedSecret && /^(value|data)$/i.test(key));
      return [key, isSecret ? CUT : redact(inner)];
    }),
  );
}

/** The text of a CNI configuration without its secrets; a sentence where it is not JSON. */
export function redactConfiguration(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'This is not JSON, so secrets in it cannot be found: left out.';
  }
  return JSON.stringify(redact(value), undefined, 2);
}
