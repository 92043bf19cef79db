/** An nftables table as a value, and its lines for `nft -f`. Pure. */

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
  /** Where the kernel calls the chain; undefined for one that is only jumped to. */
  readonly hook?: string;
  readonly rules: readonly string[];
}

export interface NftTable {
  readonly sets: readonly NftSet[];
  /** A chain follows the chains that it jumps to. */
  readonly chains: readonly NftChain[];
}

/** The lines of a table. Elements of sets are sorted and written once, so that equal tables have equal lines. */
export function renderTable(name: string, { sets, chains }: NftTable): string[] {
  return [`table ${name} {`, ...sets.map(renderSet), ...chains.flatMap(renderChain), '}'];
}

function renderSet({ name, type, isInterval, elements }: NftSet): string {
  const unique = [...new Set(elements)].sort();
  // Ranges of several fields at once cannot be merged by nft.
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
