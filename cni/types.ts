/** The CNI protocol as values: requests, network configuration, results, errors. CNI spec 1.1.0. */
import { z } from 'zod';
import { CodedError } from '../lib/errors.ts';

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
  /** Above 100: this plugin's own. */
  ADDRESS_UNAVAILABLE: 101,
  NETWORK_SETUP: 102,
  CHECK_FAILED: 103,
} as const;
export type CniCode = (typeof CniCode)[keyof typeof CniCode];

/** A refusal in CNI's JSON. */
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

/** What a runtime asks: CNI_* variables and the network configuration from standard input. */
export interface CniRequest {
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string;
}

const pools = z.array(z.string()).optional();

export const networkConfiguration = z.looseObject({
  cniVersion: z.string().default('0.3.1'),
  name: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/),
  type: z.string().optional(),
  mtu: z.number().int().min(0).optional(),
  ipam: z
    .looseObject({
      assign_ipv4: z.union([z.boolean(), z.string()]).optional(),
      assign_ipv6: z.union([z.boolean(), z.string()]).optional(),
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

/** A request with its environment checked. */
export interface Attachment {
  readonly containerId: string;
  readonly interfaceName: string;
  readonly netns: string;
  readonly network: NetworkConfiguration;
  readonly pod: { readonly namespace: string; readonly name: string } | undefined;
}

/** Parses standard input. Throws CniError. */
export function parseNetwork(stdin: string): NetworkConfiguration {
  let json: unknown;
  try {
    json = JSON.parse(stdin);
  } catch (error) {
    throw new CniError(
      CniCode.DECODING_FAILURE,
      'the network configuration on standard input is not JSON',
      String(error),
    );
  }
  const result = networkConfiguration.safeParse(json);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw new CniError(
      CniCode.INVALID_NETWORK_CONFIG,
      `network configuration: ${issue.path.join('.')}: ${issue.message}`,
    );
  }
  const { cniVersion } = result.data;
  if (!(supportedVersions as readonly string[]).includes(cniVersion)) {
    throw new CniError(
      CniCode.INCOMPATIBLE_VERSION,
      `cniVersion ${cniVersion} is not supported: use one of ${supportedVersions.join(', ')}`,
    );
  }
  return result.data;
}

/** Checks the CNI_* variables that a command needs. Throws CniError that names the variable. */
export function parseAttachment({ environment, stdin }: CniRequest, isNetnsNeeded: boolean): Attachment {
  const need = (name: string) => {
    const value = environment[name];
    if (value) return value;
    throw new CniError(
      CniCode.INVALID_ENVIRONMENT,
      `${name} is not set: the container runtime has to pass it`,
    );
  };
  const containerId = need('CNI_CONTAINERID');
  const interfaceName = need('CNI_IFNAME');
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(containerId)) {
    throw new CniError(
      CniCode.INVALID_ENVIRONMENT,
      `CNI_CONTAINERID "${containerId}" has characters that no container ID has`,
    );
  }
  if (!/^[^\s/:]{1,15}$/.test(interfaceName) || interfaceName === '.' || interfaceName === '..') {
    throw new CniError(
      CniCode.INVALID_ENVIRONMENT,
      `CNI_IFNAME "${interfaceName}" is no name of an interface`,
    );
  }
  const netns = isNetnsNeeded ? need('CNI_NETNS') : (environment['CNI_NETNS'] ?? '');
  if (/\s/.test(netns))
    throw new CniError(CniCode.INVALID_ENVIRONMENT, `CNI_NETNS "${netns}" has white space in it`);
  const args = new Map(
    (environment['CNI_ARGS'] ?? '')
      .split(';')
      .map((pair) => [pair.split('=')[0] ?? '', pair.slice(pair.indexOf('=') + 1)]),
  );
  const name = args.get('K8S_POD_NAME');
  const namespace = args.get('K8S_POD_NAMESPACE');
  return {
    containerId,
    interfaceName,
    netns,
    network: parseNetwork(stdin),
    pod: name && namespace ? { name, namespace } : undefined,
  };
}
