/** Discovery documents, which kubectl reads before anything else (`kubectl api-resources`). */
import { registry } from '../registry.ts';
import type { ResourceDefinition } from '../schema/resource.ts';

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** Returns the discovery document for a path; undefined for other paths. */
export function discoveryDocument(path: string): object | undefined {
  switch (path) {
    case '/version':
      return { major: '1', minor: '30', gitVersion: 'v1.30.0+cali-embedded', platform: 'linux/amd64' };
    case '/api':
      return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
    case '/apis':
      return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups().map(groupDocument) };
    case '/api/v1':
      return resourceList('', 'v1');
    default: {
      const [, group, version, ...rest] = path.slice(1).split('/');
      if (!path.startsWith('/apis/') || !group || rest.length > 0 || !groups().includes(group))
        return undefined;
      return version === undefined
        ? { apiVersion: 'v1', kind: 'APIGroup', ...groupDocument(group) }
        : resourceList(group, version);
    }
  }
}

function groups(): string[] {
  return [...new Set(registry.map(({ group }) => group))].filter((group) => group !== '');
}

function groupDocument(group: string) {
  const version = registry.find((definition) => definition.group === group)!.version;
  const entry = { groupVersion: `${group}/${version}`, version };
  return { name: group, versions: [entry], preferredVersion: entry };
}

function resourceList(group: string, version: string): object | undefined {
  const kinds = registry.filter((definition) => definition.group === group && definition.version === version);
  if (kinds.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: kinds.flatMap(resourceEntries),
  };
}

function resourceEntries(definition: ResourceDefinition): object[] {
  const entry = {
    name: definition.plural,
    singularName: definition.singular,
    namespaced: definition.namespaced,
    kind: definition.kind,
    verbs,
    shortNames: definition.shortNames,
  };
  if (!definition.hasStatus) return [entry];
  const status = { name: `${definition.plural}/status`, singularName: '', namespaced: definition.namespaced };
  return [entry, { ...status, kind: definition.kind, verbs: ['get', 'patch', 'update'] }];
}
