/** Iterations of one executor, counted where they happen. `started = completed + interrupted + under way`, always. */
export class Tally {
  started = 0;
  dropped = 0;
  completed = 0;
  interrupted = 0;

  end(isCompleted: boolean): void {
    if (isCompleted) this.completed++;
    else this.interrupted++;
  }

  get counts(): { started: number; dropped: number; completed: number; interrupted: number } {
    return { started: this.started, dropped: this.dropped, completed: this.completed, interrupted: this.interrupted };
  }
}
