/** The embedded API server as a separate process: `cali-api --directory DIR --host ADDR --port N`. */

import { ApiServer } from '../datastore/embedded/server.ts';
import { parseArguments } from '../lib/arguments.ts';
import { messageOf } from '../lib/errors.ts';
import { createLog } from '../lib/log.ts';

const { values } = parseArguments({
  options: {
    directory: { type: 'string', default: './cali-data' },
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '6443' },
    'log-level': { type: 'string', default: 'info' },
  },
});

const log = createLog(values['log-level'], { name: 'cali-api' });
try {
  const { directory, host } = values;
  const server = await ApiServer.start({ directory, host, port: Number(values.port) }, log);
  log.info({ url: server.url, directory }, 'serving');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void server.close().then(() => process.exit(0)));
  }
} catch (error) {
  log.error({ err: error }, `cannot start: ${messageOf(error)}`);
  process.exitCode = 1;
}
