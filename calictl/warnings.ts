/** calictl's warnings about fields without effect. */
import type { AnyResource, ResourceDefinition } from '../datastore/schema/resource.ts';
import { describeNotice, noticesOf } from '../datastore/schema/without-effect.ts';

/** Returns a line for each field without effect. */
export function warningsAbout(definition: ResourceDefinition, object: AnyResource): string[] {
  return noticesOf(definition, object).map(
    (notice) => `Warning: ${definition.kind} ${object.metadata.name}: ${describeNotice(notice)}`,
  );
}
