/**
 * The life of one tunnel of this node, as a pure state machine: its address in IPAM, its device, and its annotation on
 * the Node. addresses.ts performs the actions and reports what comes of them.
 *
 * Other nodes use the tunnel while the Node has the annotation. So it is published only when the device is up, it is
 * withdrawn first, and device and address stay until the other nodes have learned of the withdrawal.
 */

export type LifeState =
  /** The agent has just started: an earlier run may have left an address. */
  | 'Unchecked'
  /** No pool needs the tunnel, and IPAM releases what an earlier run left. There is no device. */
  | 'Cleaning'
  /** No pool needs the tunnel. It has no address and no device. */
  | 'Absent'
  /** A pool needs the tunnel, and IPAM has to assign an address. */
  | 'Wanted'
  /** It has an address, and the device is not up with it. */
  | 'Addressed'
  /** The device is up, and the Node does not have the address yet. */
  | 'Up'
  /** The Node has the address: other nodes use the tunnel. */
  | 'Published'
  /** No readable pool needs the tunnel, but an unreadable one may. Everything stays as it is. */
  | 'Retained'
  /** No pool needs the tunnel, and other nodes may still use it. */
  | 'Lingering'
  /** Other nodes no longer use the tunnel, and IPAM has to release the address. */
  | 'Releasing';

export interface Life {
  readonly state: LifeState;
  /** This node's address in the tunnel: the one in use, also while IPAM replaces or releases it. */
  readonly address: string | undefined;
  /** The address on the Node; undefined without one. Differs from any address if its MAC address is wrong. */
  readonly published: string | undefined;
}

export type LifeEvent =
  /** A pool needs the tunnel. */
  | { readonly type: 'wanted' }
  /** No pool needs the tunnel, and all pools are readable. */
  | { readonly type: 'unwanted' }
  /** No readable pool needs the tunnel, and a pool is unreadable. */
  | { readonly type: 'uncertain' }
  /** IPAM has an address from an earlier run, or from an assignment whose answer was lost. */
  | { readonly type: 'found'; readonly address: string }
  /** IPAM assigned an address. */
  | { readonly type: 'assigned'; readonly address: string }
  /** The address is outside the pools that the tunnel may use (Calico I-053). */
  | { readonly type: 'lost' }
  /** The device is up with the address. */
  | { readonly type: 'up' }
  /** The device is missing, down, or without the address. */
  | { readonly type: 'down' }
  /** The Node has an address: this agent or another program wrote it. */
  | { readonly type: 'published'; readonly address: string }
  /** The Node has no address of the tunnel. */
  | { readonly type: 'unpublished' }
  /** LINGER_MS passed since the tunnel ended and its address was withdrawn. */
  | { readonly type: 'lingered' }
  /** IPAM has no address of the tunnel any more. */
  | { readonly type: 'released' };

export type LifeAction =
  /** Assigns an address from the pools, after a release of those outside them: answered by `assigned`. */
  | 'assign'
  /** Writes the address to the Node: answered by `published`. */
  | 'publish'
  /** Removes the address from the Node: answered by `unpublished`. */
  | 'withdraw'
  /** Releases the address: answered by `released`. */
  | 'release'
  /** Starts the timer of `lingered`, or restarts it. */
  | 'startLinger'
  | 'stopLinger'
  /** Device or address changed: the routes and devices have to be calculated again. */
  | 'changed';

export interface LifeStep {
  readonly next: Life;
  /** A change of state cancels work (assign, publish, withdraw, release) of the state before. */
  readonly actions: readonly LifeAction[];
}

/** The life of a tunnel when the agent starts. */
export const unchecked: Life = { state: 'Unchecked', address: undefined, published: undefined };

/** Whether the tunnel should have a device: a pool needs it, or it may still be in use. */
export function hasDevice({ state }: Life): boolean {
  return state !== 'Unchecked' && state !== 'Cleaning' && state !== 'Absent';
}

/** Applies an event to a life. Never throws. The caller handles IPAM, the Node and time. */
export function step(life: Life, event: LifeEvent): LifeStep {
  // In every state, the life has what the Node has.
  const current =
    event.type === 'published' || event.type === 'unpublished'
      ? { ...life, published: event.type === 'published' ? event.address : undefined }
      : life;
  switch (life.state) {
    case 'Unchecked':
      return inUnchecked(current, event);
    case 'Cleaning':
      return inCleaning(current, event);
    case 'Absent':
      return inAbsent(current, event);
    case 'Wanted':
      return inWanted(current, event);
    case 'Addressed':
    case 'Up':
    case 'Published':
      return inUse(current, event, life.published);
    case 'Retained':
      return inRetained(current, event);
    case 'Lingering':
      return inLingering(current, event, life.published);
    case 'Releasing':
      return inReleasing(current, event);
    default:
      throw new Error(`unreachable state ${life.state satisfies never}`);
  }
}

function inUnchecked(life: Life, event: LifeEvent): LifeStep {
  switch (event.type) {
    case 'found':
      return stay({ ...life, address: event.address });
    case 'wanted':
      return assign(life);
    case 'unwanted':
      // A device of an earlier run may still be in use.
      return life.published === undefined ? to('Cleaning', life, 'release') : linger(life);
    case 'uncertain':
      return life.published === undefined ? stay(life) : to('Retained', life);
    default:
      return stay(life);
  }
}

function inCleaning(life: Life, event: LifeEvent): LifeStep {
  switch (event.type) {
    case 'wanted':
      return assign({ ...life, address: undefined });
    case 'uncertain':
      return to('Unchecked', life);
    case 'released':
      return absent(life);
    default:
      return stay(life);
  }
}

function inAbsent(life: Life, event: LifeEvent): LifeStep {
  switch (event.type) {
    case 'wanted':
      return assign(life);
    case 'published': // by another program
      return stay(life, 'withdraw');
    default:
      return stay(life);
  }
}

function inWanted(life: Life, event: LifeEvent): LifeStep {
  switch (event.type) {
    case 'assigned':
      return to('Addressed', { ...life, address: event.address }, 'changed');
    case 'released': // began before the tunnel was wanted again
      return stay({ ...life, address: undefined });
    default:
      return end(life, event);
  }
}

/** Handles events while the tunnel has an address and a pool needs it. `before` is what the Node had. */
function inUse(life: Life, event: LifeEvent, before: string | undefined): LifeStep {
  switch (event.type) {
    case 'lost':
      return assign(life);
    case 'released':
      return assign({ ...life, address: undefined });
    case 'up':
      return life.state === 'Addressed' ? up(life) : stay(life);
    case 'down':
      // The Node keeps the address: other nodes lose no packets more than they lose already.
      return to('Addressed', life);
    case 'published':
    case 'unpublished':
      return life.state === 'Addressed' || life.published === before ? stay(life) : up(life);
    default:
      return end(life, event);
  }
}

/** Handles the end of the pools' need. */
function end(life: Life, event: LifeEvent): LifeStep {
  if (event.type === 'unwanted') return linger(life);
  if (event.type === 'uncertain') return to('Retained', life);
  return stay(life);
}

function inRetained(life: Life, event: LifeEvent): LifeStep {
  switch (event.type) {
    case 'found':
      return stay({ ...life, address: life.address ?? event.address });
    case 'assigned': // began while a pool needed the tunnel
      return stay({ ...life, address: event.address }, 'changed');
    case 'wanted':
      return use(life);
    case 'unwanted':
      return linger(life);
    case 'released': // began before the pool became unreadable
      return absent(life, 'changed');
    default:
      return stay(life);
  }
}

function inLingering(life: Life, event: LifeEvent, before: string | undefined): LifeStep {
  switch (event.type) {
    case 'found':
      return stay({ ...life, address: life.address ?? event.address });
    case 'assigned':
      return stay({ ...life, address: event.address }, 'changed');
    case 'wanted':
      return use(life, 'stopLinger');
    case 'uncertain':
      return to('Retained', life, 'stopLinger');
    case 'published': // by another program
      return life.published === before ? stay(life) : stay(life, 'withdraw', 'stopLinger');
    case 'unpublished':
      return before === undefined ? stay(life) : stay(life, 'startLinger');
    case 'lingered':
      return to('Releasing', life, 'release');
    case 'released':
      return absent(life, 'stopLinger', 'changed');
    default:
      return stay(life);
  }
}

function inReleasing(life: Life, event: LifeEvent): LifeStep {
  switch (event.type) {
    case 'released':
      return absent(life, 'changed');
    case 'wanted':
      // The release may be under way, so the address is not used any more.
      return assign({ ...life, address: undefined });
    case 'uncertain':
      return to('Retained', life);
    default:
      return stay(life);
  }
}

function assign(life: Life): LifeStep {
  return to('Wanted', life, 'assign');
}

/** Puts a tunnel to use again that kept its address. */
function use(life: Life, ...actions: LifeAction[]): LifeStep {
  return life.address === undefined
    ? to('Wanted', life, ...actions, 'assign')
    : to('Addressed', life, ...actions);
}

function up(life: Life): LifeStep {
  return life.published === life.address ? to('Published', life) : to('Up', life, 'publish');
}

/** The other nodes have LINGER_MS from the withdrawal to change their routes. */
function linger(life: Life): LifeStep {
  return to('Lingering', life, life.published === undefined ? 'startLinger' : 'withdraw');
}

function absent(life: Life, ...actions: LifeAction[]): LifeStep {
  const next: Life = { ...life, state: 'Absent', address: undefined };
  return { next, actions: life.published === undefined ? actions : [...actions, 'withdraw'] };
}

function to(state: LifeState, life: Life, ...actions: LifeAction[]): LifeStep {
  return { next: { ...life, state }, actions };
}

function stay(life: Life, ...actions: LifeAction[]): LifeStep {
  return { next: life, actions };
}
