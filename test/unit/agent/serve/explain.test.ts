import { expect, it } from 'vitest';
import { explain } from '../../../../agent/serve/explain.ts';
import { blockOf, podHolder } from '../../../helpers/blocks.ts';
import { endpoint } from '../../../helpers/calc-input.ts';
import { ipPool } from '../../../helpers/objects.ts';
import { SpeakerWorld } from '../../../helpers/speaker-world.ts';

const kernel = { routeText: async (address: string) => `${address} dev eth0` };
const nothing = { pools: [], blocks: [], speaker: undefined, endpoints: [], kernel };

it('an address outside everything has only the route of the kernel', async () => {
  expect(await explain('192.0.2.1', nothing)).toEqual({
    address: '192.0.2.1',
    pool: undefined,
    block: undefined,
    local: undefined,
    route: undefined,
    kernel: '192.0.2.1 dev eth0',
  });
});

it('an address of a pod has its pool, its block with the owner, and its interface', async () => {
  const sources = {
    ...nothing,
    pools: [ipPool('fd00::/48', {}, 'six'), ipPool('10.244.0.0/16', {}, 'four')],
    blocks: [blockOf(undefined, '10.244.0.64/26'), blockOf('n1', '10.244.0.0/26', podHolder('a'))],
    endpoints: [endpoint('cali1', '10.244.0.50'), endpoint('cali2', '10.244.0.5', 'fd00::5')],
  };
  expect(await explain('10.244.0.5', sources)).toMatchObject({
    pool: 'four (10.244.0.0/16)',
    block: { cidr: '10.244.0.0/26', node: 'n1' },
    local: { interfaceName: 'cali2' },
  });
  expect(await explain('10.244.0.70', sources)).toMatchObject({
    block: { cidr: '10.244.0.64/26', node: undefined },
    local: undefined,
  });
});

it('has the longest route that covers the address, and not one that was withdrawn', async () => {
  const world = new SpeakerWorld(2);
  for (const prefix of ['10.244.0.0/16', '10.244.1.0/26', '10.244.1.64/26'])
    world.originate('10.0.0.2', prefix);
  world.advance(60);
  const route = async () => {
    const sources = { ...nothing, speaker: world.speaker('10.0.0.1') };
    return (await explain('10.244.1.5', sources)).route?.prefix;
  };
  expect(await route()).toBe('10.244.1.0/26');
  world.withdraw('10.0.0.2', '10.244.1.0/26');
  world.advance(60);
  expect(await route()).toBe('10.244.0.0/16');
});
