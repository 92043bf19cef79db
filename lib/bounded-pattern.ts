/**
 * Regular expressions of strangers for short texts such as names of interfaces. JavaScript matches by trying, which may
 * take exponential time: only patterns are taken whose trials are few by their form.
 */

const MAX_LENGTH = 256;
/** With texts of 15 characters, this many repetitions are at most half a million trials. */
const MAX_REPETITIONS = 8;

/** The pattern as a regular expression; a reason when it is none, or one that could take too long. */
export function boundedPattern(text: string): RegExp | string {
  if (text.length > MAX_LENGTH) return `must have at most ${MAX_LENGTH} characters`;
  // What is escaped or in a class repeats nothing.
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
