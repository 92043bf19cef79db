/** The lab's control socket, to which `npm run lab -- …` sends its commands. */
import { createServer } from 'node:http';
import { z } from 'zod';
import { messageOf } from '../lib/errors.ts';
import { listenUnix, type UnixSocket } from '../lib/unix-socket.ts';
import { AGENT_TIMEOUT_MS, type Lab } from './lab.ts';
import { countPairs, describePairs } from './report.ts';

const command = z.discriminatedUnion('do', [
  z.object({ do: z.literal('show') }),
  z.object({ do: z.literal('matrix'), timeoutMs: z.number().default(5000) }),
  z.object({
    do: z.literal('pod add'),
    node: z.string(),
    name: z.string(),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  z.object({ do: z.literal('pod delete'), name: z.string() }),
  z.object({ do: z.literal('node add'), name: z.string(), subnet: z.number().int().default(0) }),
  z.object({ do: z.literal('node delete'), name: z.string() }),
  z.object({ do: z.literal('node start'), name: z.string() }),
  z.object({ do: z.literal('node stop'), name: z.string() }),
  z.object({ do: z.literal('node kill'), name: z.string() }),
  z.object({ do: z.literal('node debug'), name: z.string() }),
  z.object({ do: z.literal('restart') }),
  z.object({ do: z.literal('api stop') }),
  z.object({ do: z.literal('api kill') }),
  z.object({ do: z.literal('api start') }),
  z.object({ do: z.literal('flows start'), intervalMs: z.number().default(10) }),
  z.object({ do: z.literal('flows stop') }),
]);

export type LabCommand = z.input<typeof command>;

/** Serves POSTed commands; each response is JSON: `{ ok: true, result }` or `{ ok: false, reason }`. */
export async function serveControl(socketPath: string, lab: Lab): Promise<UnixSocket> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      void perform(lab, Buffer.concat(chunks).toString())
        .then((result) => ({ ok: true, result }))
        .catch((error: unknown) => ({ ok: false, reason: messageOf(error) }))
        .then((answer) => response.end(JSON.stringify(answer)));
    });
  });
  return listenUnix(server, socketPath);
}

async function perform(lab: Lab, body: string): Promise<unknown> {
  const asked = command.parse(JSON.parse(body));
  switch (asked.do) {
    case 'show':
      return {
        nodes: lab.nodes.map(({ name, addresses, agent, runDirectory }) => ({
          name,
          ...addresses,
          running: agent.isRunning,
          runDirectory,
        })),
        pods: lab.pods,
      };
    case 'matrix': {
      const probes = lab.allProbes();
      const unreachable = await lab.probe(probes, asked.timeoutMs);
      return {
        pairs: countPairs(probes),
        probes: probes.length,
        unreachable,
        summary: describePairs(probes, unreachable),
      };
    }
    case 'pod add':
      return lab.addPod(asked.node, asked.name, asked.annotations);
    case 'pod delete':
      return lab.deletePod(asked.name);
    case 'node add':
      await lab.addNode(asked);
      return lab.waitForAgent(asked.name, AGENT_TIMEOUT_MS);
    case 'node delete':
      return lab.deleteNode(asked.name);
    case 'node start':
      lab.startAgent(asked.name);
      return lab.waitForAgent(asked.name, AGENT_TIMEOUT_MS);
    case 'node stop':
      return lab.endAgent(asked.name, 'SIGTERM');
    case 'node kill':
      return lab.endAgent(asked.name, 'SIGKILL');
    case 'node debug':
      // Before an agent has started, the signal would end it.
      await lab.waitForAgent(asked.name, AGENT_TIMEOUT_MS);
      return lab.openInspector(asked.name);
    case 'restart':
      return lab.restartPrograms();
    case 'api stop':
      return lab.endApi('SIGTERM');
    case 'api kill':
      return lab.endApi('SIGKILL');
    case 'api start':
      return lab.startApi();
    case 'flows start':
      return lab.startFlows(asked.intervalMs);
    case 'flows stop':
      return lab.stopFlows();
    default:
      throw new Error(`unreachable command ${JSON.stringify(asked satisfies never)}`);
  }
}
