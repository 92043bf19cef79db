import { describe, expect, it } from 'vitest';
import { PeerMember } from '../../../../bgp/group/peer-member.ts';
import { describePeer } from '../../../../bgp/peer/status.ts';
import { renderNeighbor } from '../../../../calictl/bgp.ts';
import { Relay } from '../../../helpers/relay.ts';

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
const u16 = (value: number) => value.toString(16).padStart(4, '0');
const plain = '40 01 01 00 40 02 00 40 03 04 0a000001 40 05 04 00000064';

function statusOf(relay: Relay, source: number, members: ReadonlyMap<4 | 6, PeerMember> = new Map()) {
  return describePeer(
    {
      config: {
        address: '10.0.0.2',
        port: 179,
        asNumber: 64512,
        localAs: 64512,
        localAddress: undefined,
        families: [4],
        isPassive: false,
        peerType: 'global',
        name: 'tor',
        holdTimeSeconds: 90,
        restartTimeSeconds: 120,
        allowedLocalAs: 0,
      },
      source,
      session: { state: 'Idle' } as never,
      negotiated: undefined,
      runner: { connection: undefined },
      members,
      counters: { messagesReceived: 0, messagesSent: 0, updatesReceived: 0, updatesSent: 0, flaps: 0 },
      bfdState: undefined,
    },
    relay.ribs,
    {
      since: 0,
      lastError: undefined,
      warning: undefined,
      lastNotification: undefined,
      isRestarting: false,
      malformed: { count: 2, lastReason: 'ORIGIN 3' },
    },
  );
}

describe('calictl bgp neighbor', () => {
  it('shows how many paths are rejected and why, some of their prefixes, and malformed attributes', () => {
    const relay = new Relay({ peerAs: 64512 });
    relay.receive(hex(`0000 ${u16(21)} ${plain} 08 0a`));
    const loop = plain.replace('40 02 00', '40 02 06 02 01 0000fc00');
    relay.receive(hex(`0000 ${u16(27)} ${loop} 08 0b 08 0c 08 0d 08 0e`));
    const status = statusOf(relay, relay.sender);
    expect(status.families).toMatchObject([
      {
        received: 5,
        accepted: 1,
        refused: [{ kind: 'protocol', reason: 'AS loop: our AS 64512 is in the AS_PATH', count: 4 }],
      },
    ]);
    const text = renderNeighbor({ peer: status, received: [], advertised: [] }, 0);
    expect(text).toMatch(/4 refused \((1[1-4]\.0\.0\.0\/8, ){3}…\): AS loop: our AS 64512 is in the AS_PATH/);
    expect(text).toMatch(/Malformed UPDATEs: +2, the last: ORIGIN 3/);
  });

  it('shows which routes do not fit into a message to the peer', () => {
    const relay = new Relay();
    const listener = relay.listen();
    const long = `d0 08 ${u16(4040)} ${'00010002'.repeat(1010)}`;
    relay.receive(hex(`0000 ${u16(21 + 4 + 4040)} ${plain} ${long} 08 0a`));
    const member = new PeerMember({ source: listener.source } as never, 4);
    member.group = listener.group;
    const status = statusOf(relay, listener.source, new Map([[4, member]]));
    expect(status.families[0]!.tooLong).toEqual({ count: 1, examples: ['10.0.0.0/8'] });
    const text = renderNeighbor({ peer: status, received: [], advertised: [] }, 0);
    expect(text).toContain(
      '1 not advertised (10.0.0.0/8): their attributes do not fit into a message to this peer',
    );
  });
});
