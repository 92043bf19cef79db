/** ConfigMap cali-config of deploy/, the Helm chart's values, and the programs that read them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';

const deploy = path.resolve(import.meta.dirname, '../../deploy');
const read = (file: string) => readFileSync(path.join(deploy, file), 'utf8');

const variable = z.object({
  name: z.string(),
  valueFrom: z
    .object({ configMapKeyRef: z.object({ name: z.string(), key: z.string() }).optional() })
    .optional(),
});
const container = z.object({ env: z.array(variable).default([]) });
const workload = z.object({
  kind: z.enum(['DaemonSet', 'Deployment']),
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    template: z.object({
      spec: z.object({ initContainers: z.array(container).default([]), containers: z.array(container) }),
    }),
  }),
});

/** `program VARIABLE key` of every variable that comes from cali-config. */
const used = ['manifests/daemonset.yaml', 'manifests/controllers.yaml'].flatMap((file) =>
  parseAllDocuments(read(file)).flatMap((document) => {
    const { data } = workload.safeParse(document.toJS());
    if (!data) return [];
    const { initContainers, containers } = data.spec.template.spec;
    return [...initContainers, ...containers]
      .flatMap(({ env }) => env)
      .flatMap(({ name, valueFrom }) => {
        const reference = valueFrom?.configMapKeyRef;
        return reference?.name === 'cali-config' ? [`${data.metadata.name} ${name} ${reference.key}`] : [];
      });
  }),
);
const keys = Object.keys(
  z.object({ data: z.record(z.string(), z.string()) }).parse(parse(read('manifests/config.yaml'))).data,
);

describe('cali-config', () => {
  it('has every key that a program reads, and no others', () => {
    expect(new Set(used.map((line) => line.split(' ')[2]))).toEqual(new Set(keys));
  });

  it('has the same keys in the Helm chart and in the schema of its values', () => {
    const values = z
      .object({ config: z.record(z.string(), z.string()) })
      .parse(parse(read('chart/values.yaml')));
    expect(Object.keys(values.config)).toEqual(keys);
    const schema = z
      .object({
        properties: z.object({ config: z.object({ properties: z.record(z.string(), z.unknown()) }) }),
      })
      .parse(JSON.parse(read('chart/values.schema.json')));
    expect(Object.keys(schema.properties.config.properties).sort()).toEqual([...keys].sort());
  });

  it('sets the reflector namespaces for agents and controllers, and the controllers’ metrics address', () => {
    expect(used).toEqual(
      expect.arrayContaining([
        'cali-node CALI_REFLECTOR_NAMESPACES reflector_namespaces',
        'cali-controllers CALI_REFLECTOR_NAMESPACES reflector_namespaces',
        'cali-controllers METRICS_HOST controllers_metrics_host',
      ]),
    );
  });
});
