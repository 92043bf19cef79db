/** IPPool: a range of addresses for pods, and the encapsulation of packets to them. Calico reference 1.2. */
import { z } from 'zod';
import { canonicalCidr, hasHostBits, mustCidr, overlaps, parseCidr } from '../../lib/cidr.ts';
import { martianName } from '../../lib/martians.ts';
import { ipPoolRules, served } from './cel-rules.ts';
import { cidr, selector } from './fields.ts';
import {
  ageColumn,
  calicoKind,
  calicoObject,
  conditionColumn,
  conditionsStatus,
  type FieldError,
  type ResourceDefinition,
} from './resource.ts';

const encapsulation = z.enum(['Never', 'Always', 'CrossSubnet']);

const uses = z.array(z.enum(['Workload', 'Tunnel', 'LoadBalancer']).describe('One use.'));

const shape = z
  .strictObject({
    cidr: cidr.describe('The range of pod addresses. It cannot be changed.'),
    blockSize: z
      .number()
      .int()
      .optional()
      .describe(
        'Prefix length of the blocks that nodes claim: 20 to 32 (IPv4, 26 unless set), 116 to 128 (IPv6, 122 unless set). It cannot be changed.',
      ),
    ipipMode: encapsulation
      .default('Never')
      .describe(
        'Carries packets between nodes in IPIP: Always, CrossSubnet (only between subnets) or Never. IPv4 only; excludes vxlanMode.',
      ),
    vxlanMode: encapsulation
      .default('Never')
      .describe(
        'Carries packets between nodes in VXLAN: Always, CrossSubnet (only between subnets) or Never. Excludes ipipMode.',
      ),
    natOutgoing: z
      .boolean()
      .default(false)
      .describe('Masquerades packets of pods to destinations outside all pools.'),
    disabled: z.boolean().default(false).describe('Assigns no new addresses; pods keep theirs.'),
    disableBGPExport: z
      .boolean()
      .default(false)
      .describe('Does not announce routes of this pool to BGP peers.'),
    nodeSelector: selector
      .default('all()')
      .describe('Selects the nodes whose pods get addresses from this pool.'),
    namespaceSelector: selector
      .optional()
      .describe(
        'Selects the namespaces whose pods get addresses from this pool; every namespace unless set.',
      ),
    allowedUses: uses
      .optional()
      .describe(
        'Uses of the addresses: Workload (pods), Tunnel (tunnel devices of nodes), LoadBalancer (Services, no other use). Workload and Tunnel unless set; Workload with a namespaceSelector.',
      ),
    assignmentMode: z
      .enum(['Automatic', 'Manual'])
      .default('Automatic')
      .describe('Automatic serves pods that name no pool; Manual serves only pods that name this one.'),
  })
  .meta(served(...ipPoolRules))
  .describe('Range of pod addresses, and the encapsulation of packets to them.');

/**
 * Tunnel addresses belong to no namespace. So the default for a pool with a namespaceSelector excludes them, and
 * validation refuses a pool that requests both.
 */
const spec = shape.transform(({ allowedUses = [], ...fields }) => ({
  ...fields,
  allowedUses: allowedUses.length > 0 ? allowedUses : defaultUses(fields.namespaceSelector),
}));

function defaultUses(namespaceSelector: string | undefined): z.output<typeof uses> {
  return namespaceSelector ? ['Workload'] : ['Workload', 'Tunnel'];
}

const schema = calicoObject('IPPool', spec)
  .extend({ status: conditionsStatus })
  .describe('A range of pod addresses.');

export type IPPool = z.output<typeof schema>;

/**
 * Keeps a deleted pool until its blocks are gone (Calico's name, kube-controllers ippool/pool_controller.go):
 * controllers/pool-deletion.ts adds and removes it.
 */
export const POOL_FINALIZER = 'projectcalico.org/ippool-finalizer';

/** Whether the pool was deleted but its addresses are still in use: it assigns no new ones, and routes stay. */
export function isTerminating({ metadata }: IPPool): boolean {
  return Boolean(metadata.deletionTimestamp);
}

/** Returns the prefix length of the pool's blocks: 26 for IPv4 and 122 for IPv6 unless set. */
export function blockSizeOf(pool: IPPool): number {
  return pool.spec.blockSize || (parseCidr(pool.spec.cidr)?.family === 6 ? 122 : 26);
}

function validate(
  pool: IPPool,
  old: IPPool | undefined,
  existing: { list(plural: string): readonly unknown[] },
) {
  const errors: FieldError[] = [];
  const { spec } = pool;
  const network = mustCidr(spec.cidr);
  const size = blockSizeOf(pool);
  const [low, high] = network.family === 4 ? [20, 32] : [116, 128];
  const say = (field: string, value: unknown, message: string) =>
    errors.push({ field: `spec.${field}`, value, message });
  const sayHarmless = (field: string, value: unknown, message: string) =>
    errors.push({ field: `spec.${field}`, value, message, isHarmless: true });
  const isBalancer = spec.allowedUses.includes('LoadBalancer');

  if (hasHostBits(network)) {
    say('cidr', spec.cidr, `has bits set after the prefix length: write ${canonicalCidr(spec.cidr)}`);
  }
  for (const reserved of ['169.254.0.0/16', 'fe80::/10']) {
    if (overlaps(network, mustCidr(reserved))) {
      say('cidr', spec.cidr, `overlaps the link-local range ${reserved}: choose another range`);
    }
  }
  const unusable = martianName(network);
  if (unusable !== undefined && unusable !== 'link-local')
    say('cidr', spec.cidr, `is in a range that no pod can use (${unusable}): choose another range`);
  if (size < low || size > high) {
    say('blockSize', size, `must be a prefix length of ${low} to ${high} for IPv${network.family}`);
  } else if (network.length > size && !spec.disabled) {
    say(
      'blockSize',
      size,
      `a /${size} block is larger than the pool ${spec.cidr}: use a blockSize of ${network.length} to ${high}, or a larger pool`,
    );
  }
  if (spec.ipipMode !== 'Never' && spec.vxlanMode !== 'Never') {
    say('vxlanMode', spec.vxlanMode, 'ipipMode and vxlanMode exclude each other: set one of them to Never');
  }
  if (network.family === 6 && spec.ipipMode !== 'Never') {
    say('ipipMode', spec.ipipMode, 'IPIP carries IPv4 only: use vxlanMode, or Never');
  }
  if (isBalancer && spec.allowedUses.length > 1) {
    say('allowedUses', spec.allowedUses, 'LoadBalancer excludes all other uses: use a separate pool');
  }
  if (isBalancer && spec.disableBGPExport) {
    say('disableBGPExport', true, 'a LoadBalancer pool must be exported: set it to false');
  }
  if (isBalancer && (spec.ipipMode !== 'Never' || spec.vxlanMode !== 'Never')) {
    sayHarmless(
      'allowedUses',
      spec.allowedUses,
      'a LoadBalancer pool has no encapsulation: set ipipMode and vxlanMode to Never',
    );
  }
  if (isBalancer && !['', 'all()'].includes(spec.nodeSelector.trim())) {
    sayHarmless(
      'nodeSelector',
      spec.nodeSelector,
      'must be all() for a LoadBalancer pool: its addresses belong to no node',
    );
  }
  if (spec.allowedUses.includes('Tunnel') && spec.namespaceSelector) {
    sayHarmless(
      'namespaceSelector',
      spec.namespaceSelector,
      'excludes the use Tunnel, because tunnel addresses belong to no namespace: set allowedUses to [Workload]',
    );
  }
  if (old) {
    if (old.spec.allowedUses.includes('LoadBalancer') && !isBalancer) {
      say('allowedUses', spec.allowedUses, 'cannot be changed from LoadBalancer: create a new pool');
    }
    if (canonicalCidr(old.spec.cidr) !== canonicalCidr(spec.cidr)) {
      say(
        'cidr',
        spec.cidr,
        `cannot be changed from ${old.spec.cidr}: create a new pool and disable this one`,
      );
    }
    if (blockSizeOf(old) !== size) {
      say(
        'blockSize',
        size,
        `cannot be changed from ${blockSizeOf(old)}: create a new pool and disable this one`,
      );
    }
    return errors;
  }
  for (const other of existing.list('ippools') as readonly IPPool[]) {
    if (other.metadata.name !== pool.metadata.name && overlaps(mustCidr(other.spec.cidr), network)) {
      say(
        'cidr',
        spec.cidr,
        `overlaps IPPool ${other.metadata.name} (${other.spec.cidr}): choose a range outside it`,
      );
    }
  }
  return errors;
}

const definition = calicoKind(
  { kind: 'IPPool', plural: 'ippools', singular: 'ippool', shortNames: ['ipp', 'pool'] },
  schema,
  [
    { name: 'CIDR', type: 'string', path: '.spec.cidr' },
    { name: 'VXLAN', type: 'string', path: '.spec.vxlanMode' },
    { name: 'IPIP', type: 'string', path: '.spec.ipipMode' },
    { name: 'NAT', type: 'boolean', path: '.spec.natOutgoing' },
    conditionColumn('Allocatable'),
    { name: 'Disabled', type: 'boolean', path: '.spec.disabled', priority: 1 },
    { name: 'Selector', type: 'string', path: '.spec.nodeSelector', priority: 1 },
    ageColumn,
  ],
  validate,
);

/** Unreadable selectors select nothing: the pool assigns no new addresses, and routes to those in use stay. */
export const ipPoolKind: ResourceDefinition<typeof schema> = {
  ...definition,
  hasStatus: true,
  fallbacks: { nodeSelector: { value: '!all()' }, namespaceSelector: { value: '!all()' } },
};
