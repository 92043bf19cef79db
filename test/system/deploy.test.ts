import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { hasProgram, root } from '../helpers/lab.ts';

const deploy = path.join(root, 'deploy');
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}
const manifests = (text: string) =>
  parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((object) => object?.kind !== undefined) as Manifest[];
const byName = (list: readonly Manifest[]) =>
  new Map(list.map((object) => [`${object.kind} ${object.metadata.name}`, object]));

interface Values {
  image: { repository: string; tag: string; digest: string; pullPolicy: string };
  bgpSecrets: string[];
  config: Record<string, string>;
  reflector: { enabled: boolean; replicas: number };
}

describe.skipIf(!hasProgram('go'))('the Helm chart (skipped without Go, whose templates Helm uses)', () => {
  const values = () => parse(readFileSync(path.join(deploy, 'chart', 'values.yaml'), 'utf8')) as Values;
  const render = (changed: Values, namespace = 'kube-system', served: string[] = []) => {
    const { status, stdout, stderr } = spawnSync(
      'go',
      ['run', path.join(root, 'test', 'helpers', 'render-chart.go'), path.join(deploy, 'chart')],
      {
        input: JSON.stringify({
          Values: changed,
          APIVersions: served,
          Release: { Namespace: namespace },
          Chart: { AppVersion: '0.1.0' },
        }),
        encoding: 'utf8',
        env: { ...process.env, GO111MODULE: 'off' },
      },
    );
    if (status !== 0) throw new Error(stderr);
    return manifests(stdout);
  };

  it('renders cali.yaml from the default values', () => {
    const plain = manifests(readFileSync(path.join(deploy, 'cali.yaml'), 'utf8'));
    const wanted = byName(plain.filter(({ kind }) => kind !== 'CustomResourceDefinition'));
    expect(byName(render(values()))).toEqual(wanted);
  });

  it('renders its values: image, configuration, reflectors, namespace', () => {
    const changed = values();
    changed.image = { repository: 'registry.example/cali', tag: '9.9', digest: '', pullPolicy: 'Always' };
    changed.bgpSecrets = ['one', 'two'];
    changed.config['ipv4pool_cidr'] = '10.9.0.0/16';
    changed.reflector = { enabled: true, replicas: 3 };
    const list = byName(render(changed, 'networking'));
    expect(list.get('ConfigMap cali-config')).toMatchObject({
      metadata: { namespace: 'networking' },
      data: { ipv4pool_cidr: '10.9.0.0/16' },
    });
    expect(list.get('Deployment cali-reflector')).toMatchObject({ spec: { replicas: 3 } });
    expect(list.has('BGPPeer cali-reflector')).toBe(true);
    expect(list.get('Role cali-bgp-secrets')).toMatchObject({
      metadata: { namespace: 'networking' },
      rules: [{ resources: ['secrets'], resourceNames: ['one', 'two'], verbs: ['list', 'watch'] }],
    });
    // kubeadm's and kube-proxy's configuration are in kube-system, whatever Cali's namespace is.
    for (const kind of ['Role', 'RoleBinding']) {
      expect(list.get(`${kind} cali-node`)).toMatchObject({ metadata: { namespace: 'kube-system' } });
      list.delete(`${kind} cali-node`);
    }
    expect(JSON.stringify([...list.values()])).not.toMatch(/cali\/node:|kube-system/);
    expect(JSON.stringify(list.get('DaemonSet cali-node'))).toContain(
      '"image":"registry.example/cali:9.9","imagePullPolicy":"Always"',
    );
  });

  it('renders the image’s digest if there is one', () => {
    const changed = values();
    changed.image.digest = `sha256:${'ab'.repeat(32)}`;
    changed.reflector.enabled = true;
    const text = JSON.stringify(render(changed));
    const images = [...text.matchAll(/"image":"([^"]+)"/g)].map(([, image]) => image);
    expect(images).toHaveLength(4);
    expect(new Set(images)).toEqual(new Set([`set-your-registry.invalid/cali/node@${changed.image.digest}`]));
  });

  it('includes the admission policy if the server has the kind, for the agent of its namespace', () => {
    const kind = 'admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy';
    const list = byName(render(values(), 'networking', [kind]));
    expect(list.has('ValidatingAdmissionPolicyBinding cali-node')).toBe(true);
    expect(JSON.stringify(list.get('ValidatingAdmissionPolicy cali-node'))).toContain(
      "'system:serviceaccount:networking:cali-node'",
    );
  });
});

describe.skipIf(!hasProgram('kubectl'))('the overlays (skipped without kubectl)', () => {
  const build = (overlay: string) => {
    const { status, stdout, stderr } = spawnSync(
      'kubectl',
      ['kustomize', path.join(deploy, 'overlays', overlay)],
      {
        encoding: 'utf8',
      },
    );
    if (status !== 0) throw new Error(stderr);
    return byName(manifests(stdout));
  };

  it.each(['mesh', 'route-reflector', 'crosssubnet-ipip', 'vxlan'])(
    '%s contains everything in cali.yaml',
    (overlay) => {
      const names = manifests(readFileSync(path.join(deploy, 'cali.yaml'), 'utf8')).map(
        ({ kind, metadata }) => `${kind} ${metadata.name}`,
      );
      expect([...build(overlay).keys()]).toEqual(expect.arrayContaining(names));
    },
  );

  it('contain the CRDs of cali.yaml, without rules that servers before 1.31 reject', () => {
    const wanted = manifests(readFileSync(path.join(deploy, 'cali.yaml'), 'utf8')).filter(
      ({ kind }) => kind === 'CustomResourceDefinition',
    );
    const crds = [...build('mesh').values()].filter(({ kind }) => kind === 'CustomResourceDefinition');
    expect(byName(crds)).toEqual(byName(wanted));
    expect(JSON.stringify(wanted)).not.toContain('x-kubernetes-validations');
  });

  it('change what they are named after', () => {
    expect(build('crosssubnet-ipip').get('ConfigMap cali-config')).toMatchObject({
      data: { ipv4pool_ipip: 'CrossSubnet', ipv4pool_vxlan: 'Never', backend: 'bird' },
    });
    expect(build('vxlan').get('ConfigMap cali-config')).toMatchObject({
      data: { ipv4pool_vxlan: 'Always', ipv6pool_vxlan: 'Always', backend: 'vxlan' },
    });
    const spec = (overlay: string) => build(overlay).get('BGPConfiguration default')!['spec'];
    expect(spec('route-reflector')).toEqual({ nodeToNodeMeshEnabled: false });
    expect(spec('mesh')).toEqual({ nodeToNodeMeshEnabled: true });
  });
});

interface PodSpec {
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly { readonly hostPath?: { readonly path: string } }[];
}
interface Container {
  readonly name: string;
  readonly securityContext: {
    readonly privileged?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  };
}

describe('the containers', () => {
  const files = ['cali.yaml', 'overlays/route-reflector/reflector.yaml'];
  const workloads = files
    .flatMap((file) => manifests(readFileSync(path.join(deploy, file), 'utf8')))
    .filter(({ kind }) => ['DaemonSet', 'Deployment'].includes(kind))
    .map(({ metadata, ...rest }) => ({
      name: metadata.name,
      pod: (rest['spec'] as { template: { spec: PodSpec } }).template.spec,
    }));
  const containers = workloads.flatMap(({ pod }) => [...(pod.initContainers ?? []), ...pod.containers]);

  it('belong to three workloads', () => {
    expect(workloads.map(({ name }) => name)).toEqual(['cali-node', 'cali-controllers', 'cali-reflector']);
    expect(containers).toHaveLength(4);
  });

  it.each(containers.map((container) => [container.name, container] as const))(
    '%s is not privileged, drops every capability, and cannot write to its root file system',
    (_, container) => {
      const { privileged, readOnlyRootFilesystem, capabilities, allowPrivilegeEscalation } =
        container.securityContext;
      expect(privileged ?? false).toBe(false);
      expect(readOnlyRootFilesystem).toBe(true);
      expect(capabilities?.drop).toEqual(['ALL']);
      // Only the agent has capabilities; test/system/capabilities.test.ts checks them.
      const isAgent = container.name === 'cali-node';
      expect(capabilities?.add === undefined).toBe(!isAgent);
      // Kubernetes does not accept this together with SYS_ADMIN.
      if (!isAgent) expect(allowPrivilegeEscalation).toBe(false);
    },
  );

  it.each(workloads.map(({ name, pod }) => [name, pod] as const))(
    '%s has the default seccomp profile, and sees only its own processes',
    (_, pod) => {
      expect(pod.securityContext).toMatchObject({ seccompProfile: { type: 'RuntimeDefault' } });
      expect([pod.hostPID, pod.hostIPC]).toEqual([undefined, undefined]);
    },
  );

  it('mount the host folders that deploy/README.md lists, and no others', () => {
    const paths = workloads
      .flatMap(({ pod }) => pod.volumes ?? [])
      .flatMap(({ hostPath }) => hostPath?.path ?? []);
    expect(paths.sort()).toEqual([
      '/etc/cni/net.d',
      '/opt/cni/bin',
      '/proc/sys/net',
      '/var/log/cali',
      '/var/run/cali',
      '/var/run/netns',
    ]);
  });
});
