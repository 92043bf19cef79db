/** Builds a resource of Calico. */
import type { AnyResource } from '../../datastore/schema/resource.ts';

export const calico = (kind: string, name: string, spec: object): AnyResource & { spec: object } => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: { name },
  spec,
});
