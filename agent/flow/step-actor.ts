import { uniform } from '../../shared/plan/index.ts';
import type { RequestError } from '../../shared/stats/index.ts';
import { newExchange, type Exchange, type HttpClient, type HttpContext, type WireRequest } from '../protocol/index.ts';
import type { Actor, Surroundings } from './actor.ts';
import { nextHop } from './hops.ts';
import { ResponseView } from './response.ts';
import type { ReadyRequest, ReadyStep } from './steps.ts';
import { MissingValue, type Values } from './template.ts';

/** A VU that walks a list of steps. No promise and no closure is made per request: the exchange calls back into `onResponse`.
 *  An iteration goes on after a failed request; it ends early only where a step needs a value that was never captured. */
export class StepActor implements Actor {
  readonly vu: number;
  private readonly steps: readonly ReadyStep[];
  private readonly around: Surroundings;
  private readonly http: HttpContext;
  private readonly client: HttpClient;
  private readonly seed: number;
  private readonly exchange: Exchange = newExchange();
  private readonly response = new ResponseView();
  private readonly values: Values;
  private next = 0;
  private current: ReadyRequest | undefined;
  /** Requests that the current step has sent beyond its first: redirects followed, challenges answered. */
  private hops = 0;
  /** When the request under way was wanted: the plan's instant for the first, later ones when the flow reached them. */
  private wantedUs = 0;
  private pause: NodeJS.Timeout | undefined;
  private isInterrupted = false;
  private thinks = 0;

  constructor(vu: number, steps: readonly ReadyStep[], slots: number, around: Surroundings, http: HttpContext, seed: number) {
    this.vu = vu;
    this.steps = steps;
    this.around = around;
    this.http = http;
    this.client = http.createClient();
    this.seed = seed;
    this.values = { vu, iteration: 0, captured: new Array<unknown>(slots).fill(undefined) };
  }

  start(index: number, intendedUs: number, nowUs: number): void {
    this.values.iteration = index;
    this.values.captured.fill(undefined);
    this.next = 0;
    this.isInterrupted = false;
    this.wantedUs = intendedUs;
    this.client.beginIteration();
    this.step(nowUs);
  }

  interrupt(): void {
    this.isInterrupted = true;
    if (this.pause === undefined) {
      this.client.abort();
      return;
    }
    clearTimeout(this.pause);
    this.pause = undefined;
    this.end(false, this.around.clock.nowUs());
  }

  close(): void {
    this.client.close();
  }

  /** By slot; what the last iteration captured, until the next one begins. */
  get captured(): readonly unknown[] {
    return this.values.captured;
  }

  private step(nowUs: number): void {
    const step = this.steps[this.next];
    if (step === undefined) {
      this.end(true, nowUs);
      return;
    }
    this.next++;
    if (step.kind === 'think') {
      this.think(step.minUs, step.maxUs);
      return;
    }
    let wire = step.constant;
    if (wire === undefined) {
      try {
        wire = step.render(this.values);
      } catch (thrown) {
        if (!(thrown instanceof MissingValue)) throw thrown;
        this.later(this.giveUp);
        return;
      }
    }
    const { exchange } = this;
    this.current = step;
    if (wire === undefined) {
      this.later(this.badUrl);
      return;
    }
    this.hops = 0;
    exchange.isHead = step.isHead;
    exchange.timeoutMs = step.timeoutMs;
    exchange.keepHeaders = step.keepHeaders;
    exchange.keepBody = step.keepBody;
    this.send(wire);
  }

  private send(wire: WireRequest): void {
    const { exchange } = this;
    exchange.origin = wire.origin;
    exchange.head = wire.head;
    exchange.body = wire.body;
    this.client.send(exchange, this.onResponse);
  }

  private readonly onResponse = (exchange: Exchange): void => {
    const step = this.current;
    if (step === undefined) return;
    const { endedUs } = exchange;
    this.around.beforeSample(endedUs);
    if ((exchange.location !== '' || exchange.challenge !== '') && this.goesOn(step, exchange)) return;
    step.recorder.request(exchange, this.wantedUs, exchange.error ?? this.judge(step, exchange));
    this.around.recorder.bytes(exchange.bytesSent, exchange.bytesReceived, this.wantedUs);
    if (this.isInterrupted) {
      this.end(false, endedUs);
      return;
    }
    this.wantedUs = endedUs;
    this.step(endedUs);
    this.around.afterResponse(endedUs);
  };

  /** Whether the answer only leads to another request, which is then sent; checks and captures look at the last one. */
  private goesOn(step: ReadyRequest, exchange: Exchange): boolean {
    if (exchange.error !== undefined || this.isInterrupted) return false;
    const wire = nextHop(step, exchange, this.hops, this.values, this.http);
    if (wire === undefined) return false;
    step.recorder.request(exchange, this.wantedUs, undefined);
    this.around.recorder.bytes(exchange.bytesSent, exchange.bytesReceived, this.wantedUs);
    const { endedUs } = exchange;
    this.hops++;
    this.wantedUs = endedUs;
    exchange.isHead = wire.isHead;
    this.send(wire);
    this.around.afterResponse(endedUs);
    return true;
  }

  /** What is wrong with a response that did arrive; `undefined` when nothing is. Every check is counted, whichever fails first. */
  private judge(step: ReadyRequest, exchange: Exchange): RequestError | undefined {
    let error: RequestError | undefined = exchange.status >= 400 && !step.checksStatus ? 'status' : undefined;
    if (step.checks.length === 0 && step.captures.length === 0) return error;
    const response = this.response.of(exchange);
    for (const check of step.checks) {
      const holds = check.holds(response);
      this.around.recorder.check(check.name, holds, this.wantedUs);
      if (!holds) error ??= check.isOnStatus && exchange.status >= 400 ? 'status' : 'check';
    }
    for (const { slot, find } of step.captures) {
      const found = find(response);
      this.values.captured[slot] = found;
      if (found === undefined) error ??= 'capture';
    }
    return error;
  }

  private think(minUs: number, maxUs: number): void {
    const us = maxUs === minUs ? minUs : minUs + (maxUs - minUs) * uniform(this.seed + this.vu, this.thinks++);
    this.pause = setTimeout(() => {
      this.pause = undefined;
      const nowUs = this.around.clock.nowUs();
      this.wantedUs = nowUs;
      this.step(nowUs);
    }, us / 1000);
  }

  /** Goes on in the next turn of the loop, so that `start` never ends an iteration before it returns. */
  private later(go: () => void): void {
    this.pause = setTimeout(() => {
      this.pause = undefined;
      go();
    }, 0);
  }

  private readonly giveUp = (): void => {
    this.end(true, this.around.clock.nowUs());
  };

  private readonly badUrl = (): void => {
    const { exchange } = this;
    const nowUs = this.around.clock.nowUs();
    Object.assign(exchange, newExchange(), { error: 'bad-url', startedUs: nowUs, endedUs: nowUs } satisfies Partial<Exchange>);
    this.onResponse(exchange);
  };

  private end(isCompleted: boolean, endedUs: number): void {
    this.current = undefined;
    this.around.beforeSample(endedUs);
    this.around.ended(this, isCompleted, endedUs);
  }
}
