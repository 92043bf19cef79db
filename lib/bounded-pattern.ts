/**
 * Untrusted regular expressions for short texts such as interface names. JavaScript's matcher backtracks, which can
 * take exponential time, so this accepts only patterns whose form limits backtracking.
 */

const MAX_LENGTH = 256;
/** With texts of 15 characters, this many repetitions cause at most half a million steps. */
const MAX_REPETITIONS = 8;

/** Compiles the pattern. Returns a reason when it is invalid or could take too long. */
export function boundedPattern(text: string): RegExp | string {
  if (text.length > MAX_LENGTH) return `must have at most ${MAX_LENGTH} characters`;
  // Escaped characters and classes contain no repetition operators.
  const shape = text.replace(/\\\D/g, 'x').replace(/\[[^\]]*\]/g, 'x');
  if (/\\\d/.test(shape)) return 'must have no back reference';
  if (/\(\?(?!:)/.test(shape)) return 'must have no lookaround and no named group';
  if (/\)[*+{]/.test(shape)) return 'must not repeat a group';
  if ((shape.match(/[*+?{]/g) ?? []).length > MAX_REPETITIONS + (shape.match(/\(\?:/g) ?? []).length)
    return `must have at most ${MAX_REPETITIONS} repetitions`;
  try {
    return new RegExp(text);
  } catch {
    return 'must be a regular expression';
  }
}
