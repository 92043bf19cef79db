/** Paths of fields as Kubernetes writes them: `spec.exportV4[0].action`. */

/** Joins the names and indices on the way to a field. */
export function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    const name = String(part);
    if (/^\d+$/.test(name)) return `${text}[${name}]`;
    return text === '' ? name : `${text}.${name}`;
  }, '');
}

/** Splits a path into names and indices. */
export function partsOfPath(field: string): string[] {
  return field.split(/[.[\]]+/).filter((part) => part !== '');
}
