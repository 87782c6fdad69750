import { setImmediate as turnOfLoop } from 'node:timers/promises';
import type { Actor, Surroundings } from './actor.ts';
import type { CleanUpPart, ScriptContext, ScriptPart } from './script-context.ts';
import { ScriptHttp } from './script-http.ts';
import { ScriptIteration } from './script-iteration.ts';
import { ScriptVu } from './script-vu.ts';

/** A VU that runs a function of the scenario's author. What the function throws ends its iteration and is counted; it never ends the agent.
 *  Where there is clean-up, it runs after every iteration, also an interrupted one, which is over only then. */
export class ScriptActor implements Actor {
  readonly vu: number;
  cleanUpUs = 0;
  private readonly context: ScriptContext;
  private readonly around: Surroundings;
  private readonly http: ScriptHttp;
  /** The iteration under way; its clean-up is none. */
  private current: ScriptIteration | undefined;

  constructor(vu: number, context: ScriptContext, around: Surroundings) {
    this.vu = vu;
    this.context = context;
    this.around = around;
    this.http = new ScriptHttp(context, around);
  }

  start(index: number, intendedUs: number): void {
    const iteration = new ScriptIteration(this.context.scenario, index, intendedUs, this.around.recorder);
    this.current = iteration;
    this.cleanUpUs = 0;
    this.http.beginIteration();
    void this.play(iteration, this.context.flow);
  }

  /** Clean-up that is under way already is left to its own limit. */
  interrupt(): void {
    const iteration = this.current;
    if (iteration === undefined) return;
    // First of all it is over, so that no answer makes the script go on; then what it waits for ends.
    iteration.end();
    this.http.abort();
    this.afterFlow(iteration, false);
  }

  close(): void {
    this.http.close();
  }

  /** One promise for all of it: what an iteration costs is paid for every request of a short function. */
  private async play(iteration: ScriptIteration, { run, requests }: ScriptPart): Promise<void> {
    iteration.resume();
    try {
      await run(new ScriptVu(this.vu, iteration, this.context, requests, this.http, this.around));
    } catch (thrown) {
      // The author's code failed: counted and named, and the VU goes on with its next iteration.
      this.context.scriptErrors.add(thrown);
    }
    // Nobody awaited these. What their answers lead to belongs to the iteration too, and may be further requests.
    while (iteration.isWaiting) {
      await iteration.answered();
      await turnOfLoop();
    }
    if (iteration.phase === 'finally') return;
    // A function that never waits would keep the loop to itself: its next iteration waits for a turn of the loop.
    if (!iteration.hadTurn) await turnOfLoop();
    if (this.current === iteration) this.afterFlow(iteration, true);
  }

  private afterFlow(iteration: ScriptIteration, isCompleted: boolean): void {
    this.current = undefined;
    iteration.end();
    if (this.context.cleanUp === undefined) this.end(isCompleted);
    else void this.cleanUp(iteration.index, this.context.cleanUp, isCompleted);
  }

  private async cleanUp(index: number, part: CleanUpPart, isCompleted: boolean): Promise<void> {
    const { limitMs, samples } = part;
    const fromUs = this.around.clock.nowUs();
    const iteration = new ScriptIteration(this.context.scenario, index, fromUs, samples, 'finally');
    let limit: NodeJS.Timeout | undefined;
    const isTooLate = new Promise<void>((resolve) => (limit = setTimeout(resolve, limitMs)));
    await Promise.race([this.play(iteration, part), isTooLate]);
    clearTimeout(limit);
    iteration.end();
    this.http.abort();
    this.cleanUpUs = this.around.clock.nowUs() - fromUs;
    this.end(isCompleted);
  }

  private end(isCompleted: boolean): void {
    const nowUs = this.around.clock.nowUs();
    this.around.beforeSample(nowUs);
    this.around.ended(this, isCompleted, nowUs);
    if (isCompleted) this.around.afterResponse(nowUs);
  }
}
