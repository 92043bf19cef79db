import { beforeEach, describe, expect, it } from 'vitest';
import { Acceptor } from '../../../../bgp/peer/acceptor.ts';
import type { PeerConfig } from '../../../../bgp/peer/config.ts';
import { DynamicRanges } from '../../../../bgp/peer/dynamic-ranges.ts';
import type { Peer } from '../../../../bgp/peer/peer.ts';
import { PeerTable } from '../../../../bgp/peer/table.ts';
import type { Incoming } from '../../../../bgp/transport/port.ts';
import { CeaseSubcode, ErrorCode } from '../../../../bgp/wire/iana.ts';
import type { NotificationBody } from '../../../../bgp/wire/wire-error.ts';
import { silentLog } from '../../../../lib/log.ts';

let keys: Map<string, string | undefined>;
let fresh: Set<string>;
let arrive: (connection: Incoming) => void;
let acceptor: Acceptor;
let peers: PeerTable<Peer>;
let dynamic: DynamicRanges;
let calls: string[];
beforeEach(() => {
  [keys, fresh, calls] = [new Map(), new Set(), []];
  peers = new PeerTable<Peer>();
  dynamic = new DynamicRanges();
  acceptor = new Acceptor(
    { port: 179, addresses: undefined },
    {
      transport: {
        listener: (_, incoming) => {
          arrive = incoming;
          return {
            listen: async () => undefined,
            setKey: (address, password) => {
              keys.set(address, password);
              return password === 'refused' ? 'too long' : undefined;
            },
            isFresh: (address) => fresh.has(address),
            close: async () => undefined,
          };
        },
        dial: () => {
          throw new Error('an acceptor does not dial');
        },
      },
      log: silentLog,
      peers,
      dynamic,
      startPeer: (config) => {
        calls.push(`start ${config.address}`);
        return add(config);
      },
    },
  );
});

function add(config: Partial<PeerConfig> & { address: string }, accept?: () => void): Peer {
  const { address, port = 179 } = config;
  const peer = {
    key: `${address}|${port}`,
    config,
    accept: accept ?? (() => void calls.push(`accept ${address} on ${port}`)),
    setKeyFault: (reason: string | undefined) => reason && calls.push(`key fault ${reason}`),
  } as unknown as Peer;
  peers.add(peer);
  return peer;
}

/** Lets a connection arrive. Returns what happened. */
function from(address: string): string[] {
  calls = [];
  arrive({
    address,
    handshakeTtl: () => undefined,
    accept: () => {
      throw new Error('only a peer accepts');
    },
    refuse: ({ code, subcode, data }: NotificationBody) => {
      expect(code).toBe(ErrorCode.CEASE);
      calls.push(`refuse ${subcode}${data.length > 0 ? ` ${Buffer.from(data.subarray(1))}` : ''}`);
    },
    destroy: () => void calls.push('destroy'),
  });
  return calls;
}
const REJECTED = `refuse ${CeaseSubcode.CONNECTION_REJECTED}`;

describe('a connection that arrives', () => {
  it('is given to the peer at its source address', () => {
    add({ address: '10.0.0.2' });
    add({ address: 'fe80::1%eth0' });
    expect(from('10.0.0.2')).toEqual(['accept 10.0.0.2 on 179']);
    expect(from('fe80::1%eth0')).toEqual(['accept fe80::1%eth0 on 179']);
    expect(from('fe80::1%eth1')).toEqual([REJECTED]);
  });

  it('from an unknown address is rejected', () => {
    expect(from('192.0.2.1')).toEqual([REJECTED]);
  });

  it('from a range of dynamic peers starts one, once', () => {
    dynamic.set([{ prefix: '10.9.0.0/16', template: {} as PeerConfig }]);
    expect(from('10.9.0.1')).toEqual(['start 10.9.0.1', 'accept 10.9.0.1 on 179']);
    expect(from('10.9.0.1')).toEqual(['accept 10.9.0.1 on 179']);
    expect(from('10.8.0.1')).toEqual([REJECTED]);
  });

  it('is rejected while it may predate the key of the peer', () => {
    add({ address: '10.0.0.2', password: 'x' });
    fresh.add('10.0.0.2');
    expect(from('10.0.0.2')).toEqual([REJECTED]);
  });

  it('of a peer that is shut down is refused with the message for it', () => {
    add({ address: '10.0.0.2', shutdownMessage: 'maintenance' });
    expect(from('10.0.0.2')).toEqual([`refuse ${CeaseSubcode.ADMINISTRATIVE_SHUTDOWN} maintenance`]);
  });

  it('is closed when its peer fails, and the next one is accepted', () => {
    let failures = 0;
    add({ address: '10.0.0.2' }, () => {
      if (failures++ === 0) throw new Error('broken');
      calls.push('accept');
    });
    expect(from('10.0.0.2')).toEqual(['destroy']);
    expect(from('10.0.0.2')).toEqual(['accept']);
  });
});

describe('the key of a peer', () => {
  it('is set for all peers before connections arrive', async () => {
    add({ address: '10.0.0.2', password: 'x' });
    add({ address: '10.0.0.3' });
    await acceptor.listen();
    expect([...keys]).toEqual([
      ['10.0.0.2', 'x'],
      ['10.0.0.3', undefined],
    ]);
  });

  it('stays while the settings of the peer are unusable', () => {
    acceptor.setKey(add({ address: '10.0.0.2', password: 'x' }));
    acceptor.setKey(add({ address: '10.0.0.2', password: undefined, unusable: 'the Secret is missing' }));
    expect(keys.get('10.0.0.2')).toBe('x');
  });

  it('is that of the peer which gets the connections, when two have the address', () => {
    const old = add({ address: '10.0.0.2', password: 'old' });
    const successor = add({ address: '10.0.0.2', port: 1_790, password: 'new' });
    acceptor.setKey(successor);
    acceptor.setKey(old);
    expect(keys.get('10.0.0.2')).toBe('new');
    peers.delete(successor);
    acceptor.removeKey('10.0.0.2');
    expect(keys.get('10.0.0.2')).toBe('old');
    peers.delete(old);
    acceptor.removeKey('10.0.0.2');
    expect(keys.get('10.0.0.2')).toBeUndefined();
  });

  it('that the kernel refuses is a fault of the peer', () => {
    acceptor.setKey(add({ address: '10.0.0.2', password: 'refused' }));
    expect(calls).toEqual(['key fault too long']);
  });
});
