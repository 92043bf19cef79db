// Messages of the scripts, on standard error, one sentence per line.

export function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Prints the reason and exits with status 1. */
export function fail(text) {
  say(text);
  process.exit(1);
}

/** Prints every ten seconds that something is still running, until the returned function is called. */
export function sayWhile(what) {
  const startedAt = performance.now();
  const timer = setInterval(
    () => say(`${what} … ${Math.round((performance.now() - startedAt) / 1000)} s`),
    10_000,
  );
  return () => clearInterval(timer);
}

/** Explains an error of the file system to the user; undefined for any other error. */
export function fileProblem(error, root) {
  const at = error?.path ?? root;
  switch (error?.code) {
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return `${at} cannot be written (${error.code}). Cali keeps its packages and programs in the clone: make ${root} writable, or copy it to a folder of your own.`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `${at} cannot be written: no space is left (${error.code}). Cali needs 600 MB in ${root}.`;
    default:
      return undefined;
  }
}
