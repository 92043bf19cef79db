/** Models an nftables table and renders it for `nft -f`. Pure. */

export interface NftSet {
  readonly name: string;
  /** Type of the elements, such as `ipv4_addr . inet_service`. */
  readonly type: string;
  /** Whether elements may be ranges or networks. */
  readonly isInterval?: boolean;
  readonly elements: readonly string[];
}

export interface NftChain {
  readonly name: string;
  /** Hook of a base chain; undefined for a chain that is only jumped to. */
  readonly hook?: string;
  readonly rules: readonly string[];
}

export interface NftTable {
  readonly sets: readonly NftSet[];
  /** A chain comes after the chains that it jumps to. */
  readonly chains: readonly NftChain[];
}

/** Returns the lines of a table. Set elements are sorted and unique, so that equal tables have equal lines. */
export function renderTable(name: string, { sets, chains }: NftTable): string[] {
  return [`table ${name} {`, ...sets.map(renderSet), ...chains.flatMap(renderChain), '}'];
}

function renderSet({ name, type, isInterval, elements }: NftSet): string {
  const unique = [...new Set(elements)].sort();
  // nft cannot merge ranges of concatenated fields.
  const merge = type.includes(' . ') ? '' : ' auto-merge;';
  const flags = isInterval ? ` flags interval;${merge}` : '';
  const body = unique.length > 0 ? ` elements = { ${unique.join(', ')} };` : '';
  return `  set ${name} { type ${type};${flags}${body} }`;
}

function renderChain({ name, hook, rules }: NftChain): string[] {
  return [
    `  chain ${name} {`,
    ...(hook ? [`    type ${hook}; policy accept;`] : []),
    ...rules.map((rule) => `    ${rule}`),
    '  }',
  ];
}
