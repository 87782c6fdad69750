import type { HttpResponse } from '../../shared/scenario/index.ts';
import type { HttpContext } from '../protocol/index.ts';
import type { Surroundings } from './actor.ts';
import type { CookieJar } from './cookie-jar.ts';
import { Interrupted } from './interrupted.ts';
import { Lane } from './lane.ts';
import { mayBeLeft, type ScriptIteration } from './script-iteration.ts';
import type { ScriptRequest } from './script-request.ts';
import { ScriptResponse } from './script-response.ts';
import type { Values } from './template.ts';

/** A lane whose requests a script asks for: one promise per request, which its answer settles. */
export class ScriptLane {
  private readonly lane: Lane;
  private readonly around: Surroundings;
  private readonly onFree: (lane: ScriptLane) => void;
  private underWay: UnderWay | undefined;
  /** The promise that was given for it. */
  private answer: Promise<HttpResponse> | undefined;

  /** `onFree`: the request is over, and another may be asked. */
  constructor(http: HttpContext, around: Surroundings, cookies: CookieJar | undefined, onFree: (lane: ScriptLane) => void) {
    this.around = around;
    this.onFree = onFree;
    this.lane = new Lane(http, around, NO_VALUES, cookies, this.onDone);
  }

  /** A failed request is an answer. Rejects with `Interrupted` when the iteration is over by then, and with what sending threw. */
  ask(request: ScriptRequest, iteration: ScriptIteration): Promise<HttpResponse> {
    const { lane } = this;
    const answer = new Promise<HttpResponse>((resolve, reject) => {
      lane.prepare(request);
      lane.send(iteration.takeWantedUs(this.around.clock));
      this.underWay = { request, iteration, resolve, reject };
      iteration.requestBegan();
    });
    // Sending may throw, as for a key that the runtime does not take: nothing is under way then.
    if (this.underWay === undefined) this.onFree(this);
    else this.answer = answer;
    return answer;
  }

  abort(): void {
    if (this.underWay !== undefined) this.lane.abort();
  }

  beginIteration(): void {
    this.lane.beginIteration();
  }

  close(): void {
    this.lane.close();
  }

  private readonly onDone = (lane: Lane): void => {
    const { underWay, answer } = this;
    if (underWay === undefined || answer === undefined) return;
    const { request, iteration, resolve, reject } = underWay;
    // First of all others that are due: they may be the end of this very iteration, and what runs after them is the script's again.
    this.around.afterResponse(lane.endedUs);
    this.underWay = undefined;
    this.answer = undefined;
    if (iteration.isOver) {
      void mayBeLeft(answer);
      reject(new Interrupted());
    } else {
      iteration.resume(request.name);
      resolve(new ScriptResponse(lane.exchange, lane.error));
    }
    iteration.requestEnded(lane.wantedUs);
    lane.forget();
    this.onFree(this);
  };
}

interface UnderWay {
  readonly request: ScriptRequest;
  readonly iteration: ScriptIteration;
  readonly resolve: (response: HttpResponse) => void;
  readonly reject: (interrupted: Interrupted) => void;
}

/** Functions have no templates to fill in. */
const NO_VALUES: Values = { vu: 0, iteration: 0, captured: [] };
