/** Refuses processes and sockets in unit tests: those that need one are integration tests (test/README.md). */
import childProcess from 'node:child_process';
import dgram from 'node:dgram';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

function refuse(target: object, ...names: string[]): void {
  for (const name of names)
    Reflect.set(target, name, () => {
      throw new Error(
        `${name}: a unit test starts no process and opens no socket (move it to test/integration)`,
      );
    });
}

refuse(childProcess, 'spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork');
refuse(net.Server.prototype, 'listen');
refuse(net.Socket.prototype, 'connect');
refuse(dgram.Socket.prototype, 'bind', 'send');
// Named imports see the replacements.
syncBuiltinESMExports();
