/**
 * npm run fuzz: mutated and generated messages through the codec and the RIB, and through live sessions. Every outcome
 * must be one that RFC 7606 names: accepted, forgiven, or a WireError with its NOTIFICATION.
 *
 *   npm run fuzz -- [--messages 20000000] [--live 1000000] [--seed N]
 */
import { parseArgs } from 'node:util';
import { AttributeTable } from '../bgp/rib/attribute-table.ts';
import { Rib } from '../bgp/rib/rib.ts';
import { SourceTable } from '../bgp/rib/source.ts';
import { UpdateReceiver } from '../bgp/update-receiver.ts';
import { Framer } from '../bgp/wire/framer.ts';
import { MessageType } from '../bgp/wire/iana.ts';
import { decodeMessage } from '../bgp/wire/message.ts';
import { WireError } from '../bgp/wire/wire-error.ts';
import { fuzzLive } from './fuzz/live.ts';
import { FuzzSource } from './fuzz/source.ts';

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '20000000' },
    live: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
  },
});

const peer = {
  isIbgp: true,
  isFourOctetAs: true,
  localAs: 64512,
  peerAs: 64512,
  families: [4, 6] as const,
  addPath: [],
  hasExtendedNextHop: true,
  identifier: 1,
  clusterId: 1,
  ownAddresses: new Set<string>(),
  allowedLocalAs: 0,
  role: undefined,
  requiresPolicy: false,
  policy: undefined,
  maxPrefixes: 10_000,
};

function fuzzCodec(count: number, seed: number): void {
  const random = new FuzzSource(seed);
  const attributes = new AttributeTable();
  const sources = new SourceTable();
  const ribs = { 4: new Rib(4, attributes, sources), 6: new Rib(6, attributes, sources) };
  const source = sources.add({
    peer: 'fuzz',
    isIbgp: true,
    isClient: true,
    identifier: 2,
    address: '10.0.0.2',
    addressValue: 2n,
  });
  const receivers = [true, false].flatMap((isIbgp) =>
    [true, false].map(
      (isFourOctetAs) =>
        new UpdateReceiver(ribs, { ...peer, source, isIbgp, isFourOctetAs, peerAs: isIbgp ? 64512 : 65001 }),
    ),
  );
  const outcomes = { accepted: 0, forgiven: 0, refused: 0 };
  const startedAt = Date.now();
  for (let i = 0; i < count; i++) {
    const bytes = random.next();
    const framer = new Framer();
    framer.allowExtended();
    try {
      framer.push(bytes, (frame) => {
        const choice = random.below(4);
        if (frame.type === MessageType.UPDATE) {
          const { faults } = receivers[choice]!.receive(frame.body);
          if (faults.length > 0) outcomes.forgiven++;
          else outcomes.accepted++;
        } else {
          decodeMessage(frame, { isFourOctetAs: choice > 1, isIbgp: choice % 2 === 0 });
          outcomes.accepted++;
        }
        return true;
      });
    } catch (error) {
      if (!(error instanceof WireError)) {
        process.stderr.write(`message ${i}: ${Buffer.from(bytes).toString('hex')}\n`);
        throw error;
      }
      outcomes.refused++;
    }
    if (i % 5000 === 0) {
      for (const family of [4, 6] as const) {
        ribs[family].decideChanged();
        ribs[family].drop(source, 'all');
        ribs[family].decideChanged();
        ribs[family].endTurn(true);
      }
    }
    if (i % 2_000_000 === 0 && i > 0) report(i);
  }
  for (const family of [4, 6] as const) {
    ribs[family].drop(source, 'all');
    ribs[family].decideChanged();
    ribs[family].endTurn(true);
  }
  if (attributes.size + ribs[4].prefixes.size + ribs[6].prefixes.size !== 0)
    throw new Error(`${attributes.size} attribute sets are left although every route is gone`);
  report(count);

  function report(done: number): void {
    const seconds = (Date.now() - startedAt) / 1000;
    const mb = Math.round(process.memoryUsage().rss / 1e6);
    process.stdout.write(
      `codec: ${done} messages in ${seconds.toFixed(0)} s, ${outcomes.accepted} accepted, ${outcomes.forgiven} forgiven, ${outcomes.refused} refused, ${mb} MB\n`,
    );
  }
}

fuzzCodec(Number(values.messages), Number(values.seed));
await fuzzLive(Number(values.live), Number(values.seed));
