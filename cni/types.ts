/** Types of the CNI protocol (spec 1.1.0): requests, network configuration, errors. */
import { z } from 'zod';
import { schemaSentence } from '../datastore/schema-sentences.ts';
import { CodedError } from '../lib/errors.ts';
import { printable } from '../lib/plain-text.ts';

export const supportedVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

/** Error codes of the specification, section "Error". */
export const CniCode = {
  INCOMPATIBLE_VERSION: 1,
  UNKNOWN_CONTAINER: 3,
  INVALID_ENVIRONMENT: 4,
  IO_FAILURE: 5,
  DECODING_FAILURE: 6,
  INVALID_NETWORK_CONFIG: 7,
  TRY_AGAIN_LATER: 11,
  PLUGIN_NOT_AVAILABLE: 50,
  /** Codes from 100 on are plugin-specific. */
  ADDRESS_UNAVAILABLE: 101,
  NETWORK_SETUP: 102,
  CHECK_FAILED: 103,
} as const;
export type CniCode = (typeof CniCode)[keyof typeof CniCode];

/** An error result of CNI. */
export class CniError extends CodedError {
  readonly cniCode: CniCode;
  readonly details: string;

  constructor(cniCode: CniCode, message: string, details = '', options?: ErrorOptions) {
    super('CNI', message, options);
    this.cniCode = cniCode;
    this.details = details;
  }

  toJson(cniVersion: string): object {
    return {
      cniVersion,
      code: this.cniCode,
      msg: this.message,
      ...(this.details ? { details: this.details } : {}),
    };
  }
}

/** A runtime's request: CNI_* variables, and the network configuration from standard input. */
export interface CniRequest {
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string;
}

const pools = z.array(z.string().max(253)).max(100).optional();
/** Calico's configuration writes booleans as strings. */
const choice = z.union([z.boolean(), z.enum(['true', 'false'])]).optional();

export const networkConfiguration = z.looseObject({
  cniVersion: z.string().default('0.3.1'),
  name: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/, 'must be 1 to 128 letters, digits, "_", "." and "-"'),
  type: z.string().optional(),
  /** 0: the uplink's MTU minus the tunnels' overhead. */
  mtu: z.union([z.literal(0), z.number().int().min(68).max(65535)], 'must be 0 or 68 to 65535').optional(),
  ipam: z
    .looseObject({
      assign_ipv4: choice,
      assign_ipv6: choice,
      ipv4_pools: pools,
      ipv6_pools: pools,
    })
    .optional(),
  prevResult: z.looseObject({}).optional(),
  'cni.dev/valid-attachments': z
    .array(z.looseObject({ containerID: z.string(), ifname: z.string() }))
    .optional(),
});
export type NetworkConfiguration = z.output<typeof networkConfiguration>;

/** Parses standard input. Throws CniError. */
export function parseNetwork(stdin: string): NetworkConfiguration {
  let json: unknown;
  try {
    json = JSON.parse(stdin);
  } catch (error) {
    throw new CniError(
      CniCode.DECODING_FAILURE,
      'the network configuration on standard input is not JSON',
      printable(String(error), 200),
    );
  }
  const result = networkConfiguration.safeParse(json, { error: schemaSentence });
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw new CniError(
      CniCode.INVALID_NETWORK_CONFIG,
      printable(`network configuration: ${issue.path.join('.')}: ${issue.message}`),
    );
  }
  const { cniVersion } = result.data;
  if (!(supportedVersions as readonly string[]).includes(cniVersion)) {
    throw new CniError(
      CniCode.INCOMPATIBLE_VERSION,
      `cniVersion ${printable(cniVersion, 50)} is not supported: use one of ${supportedVersions.join(', ')}`,
    );
  }
  return result.data;
}
