import type { AgentLedger } from '../../shared/stats/index.ts';

/** Iterations of one executor, counted where they happen. `started = completed + interrupted + under way`, always. */
export class Tally {
  started = 0;
  dropped = 0;
  undelivered = 0;
  completed = 0;
  interrupted = 0;

  end(isCompleted: boolean): void {
    if (isCompleted) this.completed++;
    else this.interrupted++;
  }

  get counts(): AgentLedger {
    const { started, dropped, undelivered, completed, interrupted } = this;
    return { started, dropped, undelivered, completed, interrupted };
  }
}
