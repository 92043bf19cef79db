/** Passwords of BGP sessions: from what is known of a Secret to a key of TCP MD5 (RFC 2385), or the reason why not. */
import type { PeerConfig } from '../../../bgp/peer-config.ts';

/** What is known of a key of a Secret in the agent's namespace. The reasons are sentences that name the Secret. */
export type SecretState =
  /** Not read yet, or the agent may not read it: nobody knows whether there is a password. */
  | { readonly state: 'unknown'; readonly reason: string }
  /** There is no such Secret, or it has no such key. */
  | { readonly state: 'missing'; readonly reason: string }
  /** `warning`: why the value is one from before. */
  | { readonly state: 'known'; readonly value: string; readonly warning?: string | undefined };

export type Secrets = (name: string, key: string) => SecretState;

/** Longest key of the kernel, octets (TCP_MD5SIG_MAXKEYLEN). */
const MAX_OCTETS = 80;

/** Why a text cannot be the password of a session; undefined when it can. */
export function passwordProblem(text: string): string | undefined {
  const octets = Buffer.byteLength(text);
  if (octets === 0) return 'the password is empty';
  if (octets > MAX_OCTETS) return `the password has ${octets} octets, TCP MD5 takes at most ${MAX_OCTETS}`;
  if (text.includes('\0')) return 'the password contains a NUL octet';
  // What Buffer puts in the place of octets that are no UTF-8.
  if (text.includes('\u{fffd}')) return 'the password is not UTF-8 text';
  return undefined;
}

/**
 * The password of a session. While the Secret is unknown no connection may be made. One that is known to be missing means
 * a session without password, as in Calico (B-055), with a warning.
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
