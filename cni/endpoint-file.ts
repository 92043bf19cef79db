/** Reads an endpoint's file in the run directory, and checks the values because they become parts of commands. */
import { z } from 'zod';
import { formatAddress, formatCidr, parseAddress, parseCidr } from '../lib/cidr.ts';
import { CodedError } from '../lib/errors.ts';
import { parseMac } from '../lib/mac.ts';
import { isPlain, printable } from '../lib/plain-text.ts';
import { type Endpoint, INTERFACE_PREFIX } from '../model/endpoint.ts';

const name = (pattern: RegExp) => z.string().regex(pattern);
/** Text that `parse` converts to its canonical form. */
const canonical = (parse: (text: string) => string | undefined) =>
  z
    .string()
    .max(64)
    .transform((text, context) => {
      const value = parse(text);
      if (value === undefined)
        context.addIssue({ code: 'custom', message: `"${printable(text)}" is malformed` });
      return value ?? z.NEVER;
    });

const schema = z.object({
  containerId: name(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/),
  containerInterface: name(/^[a-zA-Z0-9_][a-zA-Z0-9_.@+-]{0,14}$/),
  network: name(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/),
  interfaceName: name(new RegExp(`^${INTERFACE_PREFIX}[a-zA-Z0-9_.-]{1,11}$`)),
  mac: canonical(parseMac),
  mtu: z.number().int().min(0).max(65535),
  addresses: z
    .array(
      canonical((text) => {
        const address = parseAddress(text);
        return address && formatAddress(address);
      }),
    )
    .max(16),
  allowedSourcePrefixes: z
    .array(
      canonical((text) => {
        const cidr = parseCidr(text);
        return cidr && formatCidr(cidr);
      }),
    )
    .max(100)
    .optional(),
  netns: z.string().max(4096).refine(isPlain, 'contains a control character'),
  namespace: z.string().max(63).refine(isPlain).optional(),
  pod: z.string().max(253).refine(isPlain).optional(),
  isRetired: z.boolean().optional(),
});

/** Returns the file name of an endpoint. */
export function endpointFile({
  containerId,
  containerInterface,
}: Pick<Endpoint, 'containerId' | 'containerInterface'>): string {
  return `${containerId}.${containerInterface}.json`;
}

/** An endpoint in a file. `isRetired`: it is being removed. */
export type StoredEndpoint = Endpoint & { readonly isRetired?: boolean };

/** Parses the text of a file. Throws CodedError INVALID with the invalid field. */
export function parseEndpoint(file: string, text: string): StoredEndpoint {
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new CodedError('INVALID', printable(`${issue?.path.join('.')}: ${issue?.message}`));
  }
  const { allowedSourcePrefixes, namespace, pod, isRetired, ...others } = parsed.data;
  if (endpointFile(others) !== file)
    throw new CodedError(
      'INVALID',
      `it belongs to container ${others.containerId}, but its name does not match`,
    );
  return {
    ...others,
    ...(allowedSourcePrefixes ? { allowedSourcePrefixes } : {}),
    ...(namespace === undefined ? {} : { namespace }),
    ...(pod === undefined ? {} : { pod }),
    ...(isRetired ? { isRetired } : {}),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CodedError('INVALID', 'it is not JSON');
  }
}
