/** JSON logs on standard output. Keys are few and fixed: node, peer, prefix, iface, reason, err. */
import { pino } from 'pino';

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: Record<string, unknown>): Log;
}

/** Calico's severities (BGPConfiguration.logSeverityScreen) to pino's levels. */
const levels: Readonly<Record<string, string>> = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  warn: 'warn',
  error: 'error',
  fatal: 'fatal',
};

/** A logger at a Calico severity (any case; unknown ones count as Info). */
export function createLog(severity: string, fields: Record<string, unknown>): Log {
  return pino({ level: levels[severity.toLowerCase()] ?? 'info', base: fields });
}

/** A log that drops everything: for tests and one-shot commands. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
};
