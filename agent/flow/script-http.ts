import type { HttpResponse } from '../../shared/scenario/index.ts';
import type { Surroundings } from './actor.ts';
import { newCookieJar, type CookieJar } from './cookie-jar.ts';
import { Interrupted } from './interrupted.ts';
import type { ScriptContext } from './script-context.ts';
import { mayBeLeft, type ScriptIteration } from './script-iteration.ts';
import { ScriptLane } from './script-lane.ts';
import type { ScriptRequest } from './script-request.ts';

/** Sends what one VU's script asks for: a lane per request under way, kept for the next one. */
export class ScriptHttp {
  /** `undefined` where VUs keep none. */
  readonly cookies: CookieJar | undefined;
  private readonly context: ScriptContext;
  private readonly around: Surroundings;
  private readonly lanes: ScriptLane[] = [];
  private readonly free: ScriptLane[] = [];

  constructor(context: ScriptContext, around: Surroundings) {
    this.context = context;
    this.around = around;
    this.cookies = newCookieJar(context.workload.http.cookies, around.clock);
  }

  beginIteration(): void {
    this.cookies?.beginIteration();
    for (const lane of this.free) lane.beginIteration();
  }

  /** Every request under way ends with the error `aborted` before this returns. */
  abort(): void {
    for (const lane of this.lanes) lane.abort();
  }

  close(): void {
    for (const lane of this.lanes) lane.close();
  }

  /** A failed request is an answer. Rejects with `Interrupted` when the iteration is over. */
  send(request: ScriptRequest, iteration: ScriptIteration): Promise<HttpResponse> {
    if (iteration.isOver) return mayBeLeft(Promise.reject(new Interrupted()));
    return (this.free.pop() ?? this.open()).ask(request, iteration);
  }

  private open(): ScriptLane {
    const lane = new ScriptLane(this.context.http, this.around, this.cookies, this.take);
    this.lanes.push(lane);
    return lane;
  }

  private readonly take = (lane: ScriptLane): void => {
    this.free.push(lane);
  };
}
