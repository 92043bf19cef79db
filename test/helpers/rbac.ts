/** The rights that the manifests in deploy/ grant. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';

interface Rbac {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
    readonly verbs: readonly string[];
  }[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly name: string }[];
}

export interface Right {
  /** `account verb resource`, the resource as in cali_api_requests_total: `ippools.projectcalico.org/status`. */
  readonly right: string;
  /** Names of the objects that the right is limited to; empty: all. */
  readonly names: readonly string[];
}

const deploy = path.resolve(import.meta.dirname, '../../deploy');
export const RBAC_FILES = [
  'manifests/rbac.yaml',
  'manifests/controllers.yaml',
  'overlays/route-reflector/reflector.yaml',
] as const;

/** Returns the rights that bindings in these files of deploy/ grant. Throws if a binding's role is not in them. */
export function grantedRights(files: readonly string[] = RBAC_FILES): Right[] {
  const objects = files.flatMap((file) =>
    parseAllDocuments(readFileSync(path.join(deploy, file), 'utf8')).map(
      (document) => document.toJS() as Rbac | null,
    ),
  );
  return objects.flatMap((binding) => {
    if (!binding?.roleRef) return [];
    const { roleRef, subjects = [], metadata } = binding;
    const role = objects.find(
      (one) =>
        one?.kind === roleRef.kind &&
        one.metadata.name === roleRef.name &&
        one.metadata.namespace === (roleRef.kind === 'ClusterRole' ? undefined : metadata.namespace),
    );
    if (!role) throw new Error(`${metadata.name}: there is no ${roleRef.kind} ${roleRef.name}`);
    return subjects.flatMap(({ name }) => (role.rules ?? []).flatMap((rule) => rightsOf(name, rule)));
  });
}

function rightsOf(account: string, rule: NonNullable<Rbac['rules']>[number]): Right[] {
  const { apiGroups, resources, verbs, resourceNames = [] } = rule;
  return apiGroups.flatMap((group) =>
    resources.flatMap((resource) =>
      verbs.map((verb) => ({
        right: `${account} ${verb} ${grouped(resource, group)}`,
        names: resourceNames,
      })),
    ),
  );
}

function grouped(resource: string, group: string): string {
  const [plural, subresource] = resource.split('/');
  return `${plural}${group && `.${group}`}${subresource ? `/${subresource}` : ''}`;
}
