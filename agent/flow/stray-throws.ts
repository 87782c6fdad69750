import { fileURLToPath } from 'node:url';
import { Interrupted } from './interrupted.ts';
import { filesOf } from './script-origin.ts';
import { stackOf, type ScriptErrors } from './script-errors.ts';

/** Scripts whose strays are told apart, newest last; an agent that has loaded more forgets the oldest. */
const SCRIPTS_MAX = 100;

/** Our own files, and the packages we use. The scenario's bundle lies elsewhere and has its packages inside. */
const OWN_ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/dist\/$/, '');
const isOwn = (file: string): boolean => file.startsWith(OWN_ROOT) || file.includes('/node_modules/');

/** What scenario code throws where nobody catches it: in a promise that was not awaited, in a timer, after its iteration or even its run.
 *  It is counted like any other throw of the scenario. Anything else that nobody catches is a bug of ours. */
export class StrayThrows {
  private readonly scripts: ScriptErrors[] = [];

  /** From now on strays of this script are counted there. */
  watch(errors: ScriptErrors): void {
    this.scripts.push(errors);
    if (this.scripts.length > SCRIPTS_MAX) this.scripts.shift();
  }

  /** Counts what reached the process uncaught; false when it is not the scenario's. */
  take(thrown: unknown, kind: 'exception' | 'rejection'): boolean {
    if (thrown instanceof Interrupted) return true;
    const errors = this.ownerOf(thrown, kind);
    errors?.add(thrown);
    return errors !== undefined;
  }

  private ownerOf(thrown: unknown, kind: 'exception' | 'rejection'): ScriptErrors | undefined {
    const newest = this.scripts.at(-1);
    // We throw errors only.
    if (!(thrown instanceof Error)) return newest;
    const stack = stackOf(thrown);
    if (stack === undefined) return newest;
    const owner = this.scripts.findLast(({ origin }) => origin?.placeOf(stack) !== undefined);
    if (owner !== undefined) return owner;
    // A call of the runtime that a script did not await, such as fetch, fails with frames of the runtime alone. Our promises are all awaited.
    return kind === 'rejection' && !filesOf(stack).some(isOwn) ? newest : undefined;
  }
}

/** Uncaught errors are the process's, so there is one list for all. */
export const strayThrows = new StrayThrows();
