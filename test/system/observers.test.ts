/** BMP and MRT of a speaker with scripted peers over loopback. */

import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { BmpExporter } from '../../bgp/monitor/bmp.ts';
import { dumpTable } from '../../bgp/monitor/mrt.ts';
import { silentLog } from '../../lib/log.ts';
import { systemTime } from '../../lib/time.ts';
import { A, B, reflector, speaker } from '../helpers/reflector-under-test.ts';
import { announcement, until } from '../helpers/scripted-peer.ts';

describe('observers', () => {
  it('export BMP: initiation, peers and routes, even from before the station connected (RFC 7854)', async () => {
    const { connect } = await reflector([A, B]);
    const a = await connect(A);
    a.send(announcement(['10.1.0.0/16']));
    await until(() => speaker.routeCount === 1);
    const chunks: Buffer[] = [];
    const station = net.createServer((socket) => socket.on('data', (chunk) => chunks.push(chunk)));
    await new Promise<void>((resolve) => station.listen(0, '127.0.0.1', resolve));
    const { port } = station.address() as net.AddressInfo;
    const exporter = new BmpExporter(
      { host: '127.0.0.1', port },
      { ribs: speaker.ribs, peers: () => speaker.peers },
      { time: systemTime, log: silentLog },
    );
    const stop = speaker.observe(exporter);
    const types = () => {
      const bytes = Buffer.concat(chunks);
      const found: number[] = [];
      for (let at = 0; at + 6 <= bytes.length; at += bytes.readUInt32BE(at + 1)) found.push(bytes[at + 5]!);
      return found;
    };
    await until(() => types().length >= 4);
    // Initiation, Peer Up, the earlier route, End-of-RIB.
    expect(types()).toEqual([4, 3, 0, 0]);
    a.send(announcement(['10.2.0.0/16']));
    await until(() => types().length === 5);
    a.socket.destroy();
    await until(() => types().at(-1) === 2);
    // The per-peer header still has the BGP identifier; reason 4: closed without NOTIFICATION.
    expect(Buffer.concat(chunks).subarray(-13).toString('hex')).toMatch(/^0a000002.{16}04$/);
    expect(Buffer.concat(chunks).toString('hex')).toContain('100a02');
    stop();
    exporter.close();
    station.close();
  });

  it('dump MRT tables that show which peer announced which route (RFC 6396)', async () => {
    const { connect } = await reflector([A]);
    const a = await connect(A);
    a.send(announcement(['10.1.0.0/16']));
    await until(() => speaker.routeCount === 1);
    const { source } = speaker.peer(A)!;
    const peer = { source, address: A, identifier: '10.0.0.2', asNumber: 64512 };
    const records = [...dumpTable([speaker.ribs[4]], [peer], '10.255.0.1', 1_700_000_000)];
    const attributes = '40010100 400200 4003040afe0001 40050400000064';
    expect(records.map((bytes) => Buffer.from(bytes).toString('hex'))).toEqual(
      [
        '6553f100 000d 0001 00000015  0aff0001 0000 0001  02 0a000002 7f000002 0000fc00',
        `6553f100 000d 0002 00000026  00000000 100a01 0001  0000 6553f100 0015 ${attributes}`,
      ].map((text) => text.replaceAll(' ', '')),
    );
  });
});
