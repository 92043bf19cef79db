// npm run manifests: generates files in deploy/ from its other files; with --check, reports those that are out of date.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PLACEHOLDER, PLACEHOLDER_REPOSITORY } from './image.mjs';

const deploy = path.resolve(import.meta.dirname, '..', 'deploy');
const read = (file) => readFileSync(path.join(deploy, file), 'utf8');
const crds = readdirSync(path.join(deploy, 'crds'))
  .filter((name) => name.startsWith('projectcalico.org_'))
  .sort();
const manifests = ['config.yaml', 'rbac.yaml', 'daemonset.yaml', 'controllers.yaml'];

/** By digest if one is set: a digest, unlike a tag, always names the same image. */
const image =
  '{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}' +
  '{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}';

/** Turns a manifest into a template of the Helm chart: values replace its constants. */
function template(file) {
  return read(file)
    .replaceAll('namespace: kube-system', 'namespace: {{ .Release.Namespace }}')
    .replaceAll('serviceaccount:kube-system:', 'serviceaccount:{{ .Release.Namespace }}:')
    .replaceAll('resourceNames: [bgp-secrets]', 'resourceNames: {{ .Values.bgpSecrets | toJson }}')
    .replaceAll(`image: ${PLACEHOLDER}`, `image: "${image}"`)
    .replaceAll('imagePullPolicy: IfNotPresent', 'imagePullPolicy: {{ .Values.image.pullPolicy }}')
    .replaceAll('replicas: 2', 'replicas: {{ .Values.reflector.replicas }}');
}

/** The lines of ConfigMap `cali-config` after `data:`, including comments. */
const settings = read('manifests/config.yaml').split('data:\n')[1];
const chartHead = '# Made by `npm run manifests` from deploy/manifests.\n';
const chart = {
  'chart/values.yaml': `${chartHead}image:
  # Where the nodes find it; this placeholder is no host.
  repository: ${PLACEHOLDER_REPOSITORY}
  # The chart's appVersion when it is empty.
  tag: ""
  # sha256:… of the image; it stands for the tag.
  digest: ""
  pullPolicy: IfNotPresent
# Secrets of this namespace with passwords of BGP sessions: no others can be read.
bgpSecrets: [bgp-secrets]
# ConfigMap cali-config.
config:
${settings.trimEnd()}
# Two route reflectors instead of a mesh of nodes.
reflector:
  enabled: false
  replicas: 2
`,
  'chart/templates/config.yaml':
    chartHead +
    template('manifests/config.yaml').replaceAll(
      /^ {2}(\w+): .*$/gm,
      (_, key) => `  ${key}: {{ .Values.config.${key} | quote }}`,
    ),
  ...Object.fromEntries(
    ['rbac', 'daemonset', 'controllers'].map((name) => [
      `chart/templates/${name}.yaml`,
      chartHead + template(`manifests/${name}.yaml`),
    ]),
  ),
  'chart/templates/reflector.yaml': `${chartHead}{{- if .Values.reflector.enabled }}
${template('overlays/route-reflector/reflector.yaml').trimEnd()}
{{- end }}
`,
  'chart/templates/admission.yaml': `${chartHead}{{- if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" }}
${template('overlays/admission/policy.yaml').trimEnd()}
{{- end }}
`,
  ...Object.fromEntries(crds.map((name) => [`chart/crds/${name}`, read(`crds/${name}`)])),
};

const head =
  '# Cali: kubectl apply -f cali.yaml. Made by `npm run manifests` from deploy/crds and deploy/manifests.\n';
const all = [...crds.map((name) => `crds/${name}`), ...manifests.map((name) => `manifests/${name}`)];
const generated = {
  'cali.yaml': head + all.map((file) => `---\n${read(file).trimEnd()}\n`).join(''),
  'crds/kustomization.yaml': `# Made by \`npm run manifests\`.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
${crds.map((name) => `  - ${name}\n`).join('')}`,
  ...chart,
};

for (const [file, text] of Object.entries(generated)) {
  const target = path.join(deploy, file);
  if (!process.argv.includes('--check')) writeFileSync(target, text);
  else if (!existsSync(target) || readFileSync(target, 'utf8') !== text) {
    process.stdout.write(`deploy/${file} is not what its parts say: run npm run manifests\n`);
    process.exitCode = 1;
  }
}
