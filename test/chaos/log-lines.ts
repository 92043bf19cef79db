/** Log lines above info that chaos explains. A line that matches none of these is a fault. */

interface Expected {
  /** Matched against the program and the line's text: `cali-node: CNI call failed {"command":"STATUS",…}`. */
  readonly pattern: RegExp;
  readonly because: string;
}

export const expected: readonly Expected[] = [
  {
    pattern: /^cali-node: CNI call failed .*(is not ready|"command":"STATUS")/,
    because: 'the lab checks whether an agent is ready while it starts',
  },
  {
    // Only connection errors contain the API server's address; its refusals do not.
    pattern: /^cali-(node|controllers): watch interrupted .*"reason":"http:\/\/172\.18\.0\.1:6443: /,
    because: 'the API server is killed, or the uplink of the node is down',
  },
  {
    pattern: /^cali-\w+: .*(retrying|left to the controllers) .*http:\/\/172\.18\.0\.1:6443: /,
    because: 'the same, for a request',
  },
  {
    pattern:
      /^cali-node: the kernel differs from the desired state .*"problems":\["(route [^"]*: no route to the next hop|ip route [^"]*: (No route to host|Network is unreachable|Network is down|Nexthop has invalid gateway))/,
    because: 'the uplink of the node is down, or has lost its address, so that no next hop is on its link',
  },
  {
    pattern: /^cali-node: unfinished affinities confirmed /,
    because: 'an agent or the API server was killed while the node claimed a block',
  },
  {
    pattern: /^cali-node: dropping stale routes .*"reason":"the peer did not return within its restart time"/,
    because: 'an agent is down, or a node cut off, for longer than the restart time',
  },
  {
    pattern: /^cali-node: IPAM leftovers of an earlier agent released /,
    because: 'the agent was killed while a pod got its addresses',
  },
];

/** Returns the lines above info without an explanation, shortened. `text` is the content of a log file. */
export function unexplained(text: string): string[] {
  return text
    .split('\n')
    .filter(Boolean)
    .flatMap((line) => {
      const said = parse(line);
      if (said === undefined) return [];
      return expected.some(({ pattern }) => pattern.test(said)) ? [] : [said.slice(0, 400)];
    });
}

/** Formats a line; undefined for info and below. Returns a line that is not JSON unchanged. */
function parse(line: string): string | undefined {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return `not JSON: ${line}`;
  }
  const { level, time: _, name, msg, ...rest } = value;
  return typeof level === 'number' && level <= 30 ? undefined : `${name}: ${msg} ${JSON.stringify(rest)}`;
}
