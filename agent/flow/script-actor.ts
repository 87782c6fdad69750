import type { Actor, Surroundings } from './actor.ts';
import type { ScriptContext } from './script-context.ts';
import { ScriptHttp } from './script-http.ts';
import { ScriptIteration } from './script-iteration.ts';
import { scriptVu } from './script-vu.ts';

/** A VU that runs a function of the scenario's author. What the function throws ends its iteration and is counted; it never ends the agent. */
export class ScriptActor implements Actor {
  readonly vu: number;
  private readonly context: ScriptContext;
  private readonly around: Surroundings;
  private readonly http: ScriptHttp;
  private current: ScriptIteration | undefined;

  constructor(vu: number, context: ScriptContext, around: Surroundings) {
    this.vu = vu;
    this.context = context;
    this.around = around;
    this.http = new ScriptHttp(context, around);
  }

  start(index: number, intendedUs: number): void {
    const iteration = new ScriptIteration(index, intendedUs);
    this.current = iteration;
    this.http.beginIteration();
    void this.iterate(iteration);
  }

  interrupt(): void {
    const iteration = this.current;
    if (iteration === undefined) return;
    // First of all it is over, so that no answer makes the script go on; then what it waits for ends.
    iteration.end();
    this.http.abort();
    this.end(iteration, false);
  }

  close(): void {
    this.http.close();
  }

  private async iterate(iteration: ScriptIteration): Promise<void> {
    const { flow, scriptErrors } = this.context;
    try {
      await flow(scriptVu(this.vu, iteration, this.context, this.http, this.around));
    } catch (thrown) {
      // The author's code failed: counted and named, and the VU goes on with its next iteration.
      scriptErrors.add(thrown);
    }
    await iteration.answered();
    // A function that never awaits would keep the loop to itself: its next iteration waits for a turn of the loop.
    setImmediate(() => {
      if (this.current === iteration) this.end(iteration, true);
    });
  }

  private end(iteration: ScriptIteration, isCompleted: boolean): void {
    this.current = undefined;
    iteration.end();
    const nowUs = this.around.clock.nowUs();
    this.around.beforeSample(nowUs);
    this.around.ended(this, isCompleted, nowUs);
    if (isCompleted) this.around.afterResponse(nowUs);
  }
}
