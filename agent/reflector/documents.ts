/** Documents of a standalone reflector, from the text of one or several files. */
import type { z } from 'zod';
import { keyOfPeer } from '../../bgp/peer/config.ts';
import { type Document, parseText, registered } from '../../datastore/documents.ts';
import { type BGPConfiguration, bgpConfigurationKind } from '../../datastore/schema/bgp-configuration.ts';
import { parsePeerIP } from '../../datastore/schema/bgp-fields.ts';
import { type BGPFilter, bgpFilterKind } from '../../datastore/schema/bgp-filter.ts';
import { type BGPPeer, bgpPeerKind } from '../../datastore/schema/bgp-peer.ts';
import { type Secret, secretKind } from '../../datastore/schema/core.ts';
import type { ResourceDefinition } from '../../datastore/schema/resource.ts';
import { BGP_PORT } from '../../felix/calc/bgp/cluster.ts';
import { CodedError } from '../../lib/errors.ts';

export interface NamedText {
  readonly file: string;
  readonly text: string;
}

export interface ReflectorDocuments {
  readonly configurations: readonly BGPConfiguration[];
  readonly peers: readonly BGPPeer[];
  readonly filters: readonly BGPFilter[];
  readonly secrets: readonly Secret[];
  /** A sentence for each object that is not used, because an earlier one has its name. */
  readonly duplicates: readonly string[];
}

/** Returns a sentence for each BGPPeer without AS number, because a reflector on its own knows no Nodes. */
function withoutAsNumber(documents: readonly Document[]): string[] {
  return documents
    .filter(({ definition }) => definition.kind === bgpPeerKind.kind)
    .flatMap(({ object, place }) => {
      const { metadata, spec } = bgpPeerKind.schema.parse(object);
      if (spec.peerIP === undefined || spec.asNumber !== undefined) return [];
      return `${place}: BGPPeer ${metadata.name}: spec.asNumber is required: the AS number of ${spec.peerIP}`;
    });
}

/** Returns a sentence for each BGPPeer whose address another one has, because a speaker has one session per address. */
function sharedAddresses(documents: readonly Document[]): string[] {
  const first = new Map<string, Document>();
  return documents
    .filter(({ definition }) => definition.kind === bgpPeerKind.kind)
    .flatMap((document) => {
      const { metadata, spec } = bgpPeerKind.schema.parse(document.object);
      const parsed = parsePeerIP(spec.peerIP ?? '');
      const field = parsed ? 'peerIP' : 'peerCIDR';
      const key = parsed
        ? keyOfPeer({ address: parsed.address, port: parsed.port ?? BGP_PORT })
        : spec.peerCIDR;
      // A standalone reflector ignores a BGPPeer with a selector.
      if (key === undefined) return [];
      const earlier = first.get(key);
      first.set(key, earlier ?? document);
      const { name } = metadata;
      return earlier
        ? `BGPPeer ${earlier.object.metadata.name} in ${earlier.place} and BGPPeer ${name} in ${document.place} have the same ${field} ${spec[field]}: change or remove one of them`
        : [];
    });
}

/**
 * Parses the files in this order. Of several objects with the same kind and name, the first is used. Throws CodedError
 * INPUT with all faults; `source` is the file or folder.
 */
export function parseFiles(files: readonly NamedText[], source: string): ReflectorDocuments {
  const parsed = files.map(({ text, file }) => parseText(text, file, { resolve: registered }));
  const faults = parsed.flatMap((one) => one.faults);
  if (faults.length > 0) throw new CodedError('INPUT', faults.join('\n'));
  const first = new Map<string, Document>();
  const duplicates: string[] = [];
  for (const document of parsed.flatMap((one) => one.documents)) {
    const { kind } = document.definition;
    const { name, namespace = '' } = document.object.metadata;
    const key = JSON.stringify([kind, namespace, name]);
    const earlier = first.get(key);
    if (!earlier) first.set(key, document);
    else
      duplicates.push(
        `${kind} ${name} is in ${earlier.place} and in ${document.place}: the first is used; rename or remove the other`,
      );
  }
  const documents = [...first.values()];
  if (documents.length === 0) throw new CodedError('INPUT', `${source}: no resources in it`);
  const peerFaults = [...withoutAsNumber(documents), ...sharedAddresses(documents)];
  if (peerFaults.length > 0) throw new CodedError('INPUT', peerFaults.join('\n'));
  const ofKind = <S extends z.ZodType>({ kind, schema }: ResourceDefinition<S>) =>
    documents.filter(({ definition }) => definition.kind === kind).map(({ object }) => schema.parse(object));
  return {
    configurations: ofKind(bgpConfigurationKind),
    peers: ofKind(bgpPeerKind),
    filters: ofKind(bgpFilterKind),
    secrets: ofKind(secretKind),
    duplicates,
  };
}
