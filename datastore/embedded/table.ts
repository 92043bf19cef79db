/** Responses as meta.k8s.io Table, which kubectl prints. */
import { cellOf } from '../columns.ts';
import type { AnyResource, ResourceDefinition } from '../schema/resource.ts';

/** Returns the version of the table that the client requested; undefined when it requested none. */
export function tableVersion(accept: string | undefined): string | undefined {
  return /as=Table;v=(v1|v1beta1);g=meta\.k8s\.io/.exec(accept ?? '')?.[1];
}

/** Returns a table of the objects. `includeObject` is `None`, `Metadata` or `Object`. */
export function tableOf(
  definition: ResourceDefinition,
  objects: readonly AnyResource[],
  options: { version: string; includeObject: string | null; listMetadata: object; now: number },
): object {
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.version}`,
    metadata: options.listMetadata,
    columnDefinitions: [
      { name: 'Name', type: 'string', format: 'name', description: 'Name', priority: 0 },
      ...definition.columns.map(({ name, type, priority, description }) => ({
        name,
        type: type === 'date' ? 'string' : type,
        format: '',
        description: description ?? name,
        priority: priority ?? 0,
      })),
    ],
    rows: objects.map((object) => ({
      cells: [
        object.metadata.name,
        ...definition.columns.map((column) => cellOf(object, column, options.now)),
      ],
      ...rowObject(object, options.includeObject, options.version),
    })),
  };
}

function rowObject(object: AnyResource, include: string | null, version: string): object {
  if (include === 'None') return {};
  if (include === 'Object') return { object };
  return {
    object: {
      kind: 'PartialObjectMetadata',
      apiVersion: `meta.k8s.io/${version}`,
      metadata: object.metadata,
    },
  };
}
