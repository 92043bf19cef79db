/** Errors of `ip` and `bridge` as errors of the changes that they were given. */
import type { ChangeError, KernelChange } from './change.ts';
import type { BatchError } from './port.ts';

/** Error numbers by strerror(3)'s text; the kernel's extended messages where Cali decides by them. */
const codes: readonly (readonly [RegExp, string])[] = [
  [/File exists/, 'EEXIST'],
  [/No such process/, 'ESRCH'],
  [/Cannot find device|No such device/, 'ENODEV'],
  [/No such file or directory/, 'ENOENT'],
  [/Operation not permitted/, 'EPERM'],
  [/Operation not supported/, 'EOPNOTSUPP'],
];

/** Returns the errors with their changes. `commands` are the changes as text, in the same order. */
export function changeErrors(
  errors: readonly BatchError[],
  commands: readonly string[],
  changes: readonly KernelChange[],
): ChangeError[] {
  return errors.flatMap(({ command, message }) => {
    const at = commands.indexOf(command);
    // An error of the whole batch: report it once, with the first change.
    const change = changes[Math.max(at, 0)];
    return change ? [{ change, code: codes.find(([text]) => text.test(message))?.[1], message }] : [];
  });
}
