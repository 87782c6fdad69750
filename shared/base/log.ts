import { pino } from 'pino';

export type Log = pino.Logger;

/** A JSON logger on stderr: results own stdout. `level` is one of pino's levels, or `silent`. */
export function createLog(name: string, level = process.env['MUSTER_LOG'] ?? 'info'): Log {
  return pino({ name, level }, pino.destination({ dest: 2, sync: true }));
}
