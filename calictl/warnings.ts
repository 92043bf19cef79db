/** What calictl says about objects that ask for something Cali does not do. */
import type { AnyResource, ResourceDefinition } from '../datastore/schema/resource.ts';
import { describeNotice, noticesOf } from '../datastore/schema/without-effect.ts';

/** A line for each field that is accepted and does nothing. */
export function warningsAbout(definition: ResourceDefinition, object: AnyResource): string[] {
  return noticesOf(definition, object).map(
    (notice) => `Warning: ${definition.kind} ${object.metadata.name}: ${describeNotice(notice)}`,
  );
}
