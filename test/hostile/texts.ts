/** Texts that would act as commands, rules, paths or names if a program did not treat them as plain text. */

/** Name of the file, namespace, interface or table that these texts would create. */
export const CANARY = 'canary';

export function hostileTexts(valid: string, file: string): string[] {
  return [
    // An extra line for `ip -batch`, `bridge -batch` or `nft -f`.
    `${valid}\nnetns add ${CANARY}\nnetns exec ${CANARY} touch ${file}\nlink add ${CANARY} type dummy\n`,
    `${valid} dev vxlan.cali nud permanent\nnetns add ${CANARY}\nnetns exec ${CANARY} touch ${file}\nneigh replace 10.9.9.9 lladdr 66:00:00:00:00:01`,
    `${valid}\r\nadd table inet ${CANARY}\r\n`,
    `${valid}; add table inet ${CANARY};`,
    `${valid} }\n}\ntable inet ${CANARY} {\n`,
    `" }; add table inet ${CANARY}; #`,
    // For a shell.
    `${valid}; touch ${file}; ip netns add ${CANARY}`,
    `$(touch ${file})\`touch ${file}\``,
    `'; touch ${file} #`,
    `| touch ${file}`,
    // As a path, an option, an object's key.
    `../../../../../../..${file}`,
    `--force\u0000${file}`,
    '__proto__',
    'constructor',
    // For a human reader, and for a buffer.
    `\u202e${valid}\u2066\u001b[2J\u0007`,
    'x'.repeat(100_000),
  ];
}

/** Returns one copy of the object per string in it, with that string replaced, and the path of the string. */
export function eachString(
  object: unknown,
  text: string,
  path: readonly (string | number)[] = [],
): [string, unknown][] {
  if (typeof object === 'string') return [[path.join('.'), text]];
  if (typeof object !== 'object' || object === null) return [];
  return Object.entries(object).flatMap(([key, value]) =>
    eachString(value, text, [...path, key]).map(([where, changed]): [string, unknown] => [
      where,
      Array.isArray(object)
        ? object.map((old, i) => (String(i) === key ? changed : old))
        : { ...object, [key]: changed },
    ]),
  );
}
