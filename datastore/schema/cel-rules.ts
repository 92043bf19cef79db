/**
 * Rules as the API server itself applies them (CEL, Kubernetes 1.29 and later), for what a structural schema cannot say.
 * Each is a rule of the kind's `validate` too, which says more and asks older servers nothing.
 */
export interface CelRule {
  /** True for a good object; `self` is what the rule is at, `oldSelf` the stored one: such a rule is for updates. */
  readonly rule: string;
  readonly message: string;
}

interface CelRules {
  /** Of the whole object. */
  readonly root?: readonly CelRule[];
  readonly spec?: readonly CelRule[];
}

const isSet = (field: string) => `has(self.${field}) && self.${field} != ''`;
const excludes = (a: string, b: string): CelRule => ({
  rule: `!(${isSet(a)} && ${isSet(b)})`,
  message: `${a} excludes ${b}: remove one of them`,
});

export const celRules: Readonly<Record<string, CelRules>> = {
  IPPool: {
    spec: [
      {
        rule: "!(has(self.ipipMode) && self.ipipMode != 'Never' && has(self.vxlanMode) && self.vxlanMode != 'Never')",
        message: 'ipipMode and vxlanMode exclude each other: set one of them to Never',
      },
      {
        rule: "!(self.cidr.contains(':') && has(self.ipipMode) && self.ipipMode != 'Never')",
        message: 'IPIP carries IPv4 only: use vxlanMode, or Never',
      },
      {
        rule: 'self.cidr == oldSelf.cidr',
        message: 'cidr cannot be changed: create a new pool and disable this one',
      },
      {
        rule: '!has(self.blockSize) || !has(oldSelf.blockSize) || self.blockSize == oldSelf.blockSize',
        message: 'blockSize cannot be changed: create a new pool and disable this one',
      },
    ],
  },
  BGPPeer: {
    spec: [
      excludes('node', 'nodeSelector'),
      excludes('peerIP', 'peerSelector'),
      excludes('peerIP', 'peerCIDR'),
      excludes('peerIP', 'localWorkloadSelector'),
      excludes('peerSelector', 'localWorkloadSelector'),
      {
        rule: ['peerIP', 'peerSelector', 'localWorkloadSelector', 'peerCIDR']
          .map((field) => `(${isSet(field)})`)
          .join(' || '),
        message: 'peerIP is required unless peerSelector or localWorkloadSelector is set',
      },
      {
        rule: `!(${isSet('peerIP')}) || has(self.asNumber)`,
        message: 'asNumber is required: the AS number of peerIP',
      },
    ],
  },
  BGPConfiguration: {
    root: [
      {
        rule: "self.metadata.name == 'default' || self.metadata.name.startsWith('node.')",
        message: 'the name must be "default" or "node.<name of the node>"',
      },
    ],
  },
  IPAMConfiguration: {
    root: [
      {
        rule: "self.metadata.name == 'default'",
        message: 'the name must be "default": there is one per cluster',
      },
    ],
    spec: [
      {
        rule: '!(has(self.autoAllocateBlocks) && !self.autoAllocateBlocks) || (has(self.strictAffinity) && self.strictAffinity)',
        message: 'autoAllocateBlocks may be false only while strictAffinity is true',
      },
    ],
  },
};
