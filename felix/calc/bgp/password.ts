/** Passwords of BGP sessions: derives the TCP MD5 key (RFC 2385) from a Secret, or the reason why there is none. */
import type { PeerConfig } from '../../../bgp/peer/config.ts';

/** State of a key of a Secret in the agent's namespace. The reasons are sentences with the name of the Secret. */
export type SecretState =
  /** The Secret was not read yet, or the agent may not read it, so the password is unknown. */
  | { readonly state: 'unknown'; readonly reason: string }
  /** The Secret or the key does not exist. */
  | { readonly state: 'missing'; readonly reason: string }
  /** `warning`: why an earlier value is still in use. */
  | { readonly state: 'known'; readonly value: string; readonly warning?: string | undefined };

export type Secrets = (name: string, key: string) => SecretState;

/** Maximum length of a key in the kernel, octets (TCP_MD5SIG_MAXKEYLEN). */
const MAX_OCTETS = 80;

/** Returns why a text cannot be the password of a session; undefined when it can. */
export function passwordProblem(text: string): string | undefined {
  const octets = Buffer.byteLength(text);
  if (octets === 0) return 'the password is empty';
  if (octets > MAX_OCTETS) return `the password has ${octets} octets, TCP MD5 allows at most ${MAX_OCTETS}`;
  if (text.includes('\0')) return 'the password contains a NUL octet';
  // Buffer replaces invalid UTF-8 with U+FFFD.
  if (text.includes('\u{fffd}')) return 'the password is not UTF-8 text';
  return undefined;
}

/**
 * Returns the password of a session. While the Secret is unknown, no connection may be made. A missing Secret means a
 * session without password and a warning, as in Calico (B-055).
 */
export function passwordOf(
  reference: { readonly secretKeyRef: { readonly name: string; readonly key: string } } | undefined,
  secrets: Secrets,
): Pick<PeerConfig, 'password' | 'unusable' | 'warning'> {
  if (!reference) return {};
  const { name, key } = reference.secretKeyRef;
  const secret = secrets(name, key);
  switch (secret.state) {
    case 'unknown':
      return { unusable: secret.reason };
    case 'missing':
      return { warning: `${secret.reason}: the session has no password` };
    case 'known': {
      const problem = passwordProblem(secret.value);
      if (problem) return { unusable: `Secret ${name}, key ${key}: ${problem}` };
      return { password: secret.value, ...(secret.warning ? { warning: secret.warning } : {}) };
    }
    default:
      throw new Error(`unreachable state ${secret satisfies never}`);
  }
}
