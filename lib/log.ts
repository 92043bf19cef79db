/**
 * JSON logs on standard output. Keys are few and fixed: node, peer, prefix, iface, reason, err. Fields may hold
 * untrusted text, so long values are cut and terminal control characters are escaped.
 */
import { pino } from 'pino';
import { bounded } from './log-fields.ts';
import { escapeForJson, printable } from './plain-text.ts';
import { sourceStack } from './source-stack.ts';

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: Record<string, unknown>): Log;
}

/** A log whose severity can change at run time, including that of its children. */
export interface RootLog extends Log {
  /** Calico's severities (BGPConfiguration.logSeverityScreen), any case; unknown ones count as Info. */
  setSeverity(severity: string): void;
}

const levels = { trace: 10, debug: 20, info: 30, warning: 40, warn: 40, error: 50, fatal: 60 } as const;

/** A logger at a Calico severity. */
export function createLog(severity: string, fields: Record<string, unknown>): RootLog {
  const threshold = { level: severityOf(severity) };
  const log = wrap(pino({ level: 'trace', base: fields, hooks: { streamWrite: escapeForJson } }), threshold);
  return {
    ...log,
    setSeverity(next) {
      threshold.level = severityOf(next);
    },
  };
}

/** Fields with positions in the sources, such as `agent/agent.ts:12:3`, in the stacks of errors. */
const copyOf = (fields: object) => bounded(fields, (error) => sourceStack(error).join('\n'));

type Pino = ReturnType<typeof pino>;

// pino's children keep the level of their creation. These share one threshold.
function wrap(target: Pino, threshold: { level: number }): Log {
  const at = (name: 'debug' | 'info' | 'warn' | 'error') => (fields: object, message: string) => {
    if (levels[name] >= threshold.level) target[name](copyOf(fields), printable(message));
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrap(target.child(copyOf(fields)), threshold),
  };
}

/** Whether a text is a severity, in any case. */
export function isSeverity(text: string): boolean {
  return Object.hasOwn(levels, text.toLowerCase());
}

/** The higher, the less is logged; unknown ones count as Info. */
export function severityOf(severity: string): number {
  return levels[severity.toLowerCase() as keyof typeof levels] ?? levels.info;
}

/** A log that drops everything, for tests and one-shot commands. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
};
