import { EXIT_CODES, type Log } from '../shared/base/index.ts';
import { strayThrows } from './flow/stray-throws.ts';

/** Keeps the process alive through what scenario code throws where nobody catches it. What is not the scenario's is a bug of ours and
 *  ends the process with code 1, as it would without this: nobody knows what state it left behind. */
export function catchStrays(log: Log): void {
  const take = (thrown: unknown, kind: 'exception' | 'rejection'): void => {
    if (strayThrows.take(thrown, kind)) return;
    log.fatal({ err: thrown }, 'a bug');
    process.exit(EXIT_CODES.bug.code);
  };
  process.on('uncaughtException', (thrown) => {
    take(thrown, 'exception');
  });
  process.on('unhandledRejection', (thrown) => {
    take(thrown, 'rejection');
  });
}
