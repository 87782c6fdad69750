import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Actor, Surroundings } from '../../agent/flow/actor.ts';
import { compileProgram } from '../../agent/flow/program.ts';
import { ScriptErrors } from '../../agent/flow/script-errors.ts';
import { StepActor } from '../../agent/flow/step-actor.ts';
import { Slots } from '../../agent/flow/template.ts';
import { WorkloadFiles } from '../../agent/flow/upload.ts';
import type { Exchange, HttpClient, HttpContext } from '../../agent/protocol/index.ts';
import { Recorder } from '../../agent/recorder.ts';
import { hash32, seedFor, uniform, type Condition, type RequestStep, type Step, type StepFlow } from '../../shared/plan/index.ts';
import { requestStep } from '../support/flow-bench.ts';

const SEED = 11;
/** What the clock moves on with every answer. */
const ANSWER_US = 1_000;

/** What the server answers to the `nth` request of an iteration: a pure function, so that both sides meet the same world. */
function answerTo(iteration: number, nth: number): { readonly status: number; readonly n: number; readonly list: readonly number[] } {
  const draw = hash32(iteration + 99, nth);
  const n = (draw >>> 8) % 5;
  return { status: draw % 3 === 0 ? 500 : 200, n, list: Array.from({ length: (draw >>> 16) % 3 }, (_, i) => i) };
}

const request = (name: string): RequestStep =>
  requestStep(name, `http://t.test/${name}`, {
    captures: [
      { name: 'n', from: { kind: 'json', path: ['n'] } },
      { name: 'list', from: { kind: 'json', path: ['list'] } },
    ],
  });

const value = (name: string, bound: number): Condition => [
  { subject: { kind: 'value', value: { source: 'capture', name, field: '', as: 'text' } }, test: { op: '<', value: bound } },
];
const status: Condition = [{ subject: { kind: 'status' }, test: { op: '==', value: 200 } }];

const requests = fc.stringMatching(/^[a-z]{1,3}$/).map(request);
const conditions = fc.oneof(
  fc.integer({ min: 0, max: 5 }).map((bound) => value('n', bound)),
  fc.constant(status),
);
const { steps: lists } = fc.letrec<{ steps: Step[]; step: Step }>((tie) => ({
  steps: fc.array(tie('step'), { minLength: 0, maxLength: 3 }),
  step: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'steps' },
    requests,
    fc.record({ kind: fc.constantFrom('group' as const, 'transaction' as const), name: fc.constant('g'), steps: tie('steps') }),
    fc.record({ kind: fc.constant('loop' as const), times: fc.integer({ min: 0, max: 3 }), pacingUs: fc.constant(0), steps: tie('steps') }),
    fc.record({
      kind: fc.constant('while' as const),
      condition: conditions,
      limit: fc.integer({ min: 1, max: 4 }),
      pacingUs: fc.constant(0),
      steps: tie('steps'),
    }),
    fc.record({
      kind: fc.constant('foreach' as const),
      item: fc.constant('item'),
      list: fc.constant('list'),
      pacingUs: fc.constant(0),
      steps: tie('steps'),
    }),
    fc.record({ kind: fc.constant('if' as const), condition: conditions, then: tie('steps'), else: tie('steps') }),
    fc.record({
      kind: fc.constant('choose' as const),
      branches: fc.array(fc.record({ weight: fc.integer({ min: 1, max: 4 }), steps: tie('steps') }), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant('parallel' as const), requests: fc.array(requests, { minLength: 1, maxLength: 3 }) }),
    fc.record({
      kind: fc.constant('retry' as const),
      times: fc.integer({ min: 1, max: 2 }),
      waitUs: fc.constant(0),
      backoff: fc.constant(1),
      steps: tie('steps'),
    }),
    fc.record({
      kind: fc.constant('poll' as const),
      name: fc.constant('p'),
      everyUs: fc.constant(0),
      limitUs: fc.integer({ min: 1, max: 4 * ANSWER_US }),
      until: conditions,
      request: requests,
    }),
  ),
}));

test('the program sends exactly the requests that walking the tree of steps sends, in the same order', async () => {
  await fc.assert(
    fc.asyncProperty(lists, lists, async (main, cleanUp) => {
      // First a request, so that there is something to look at.
      const flow: StepFlow = { kind: 'steps', steps: [request('first'), ...main], finally: { steps: cleanUp, limitUs: 60_000_000 } };
      const world = new World(flow);
      // The same VU again and again: nothing of one iteration may be left in its registers.
      for (let iteration = 0; iteration < 3; iteration++) {
        expect(await world.run(iteration)).toEqual(new Walk(flow, iteration).log);
      }
    }),
    { numRuns: 300 },
  );
});

/** A VU with a scripted network and a clock that only answers move. */
class World {
  private nowUs = 1_000_000;
  private iteration = 0;
  private log: string[] = [];
  private readonly actor: Actor;
  private wake: () => void = () => {};

  constructor(flow: StepFlow) {
    const recorder = new Recorder();
    const slots = new Slots();
    const http = this.network();
    const program = compileProgram(flow, 's', recorder, {
      slots,
      rows: {},
      seed: SEED,
      http,
      files: new WorkloadFiles({}, () => undefined),
    });
    const around: Surroundings = {
      clock: { nowUs: () => this.nowUs } as Surroundings['clock'],
      recorder: recorder.scenario('s'),
      beforeSample: () => {},
      afterResponse: () => {},
      ended: () => {
        this.wake();
      },
    };
    this.actor = new StepActor(0, { program, slots: slots.count, http, cookies: 'off', seed: SEED, errors: new ScriptErrors() }, around);
  }

  async run(iteration: number): Promise<string[]> {
    this.iteration = iteration;
    this.log = [];
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      this.actor.start(iteration, this.nowUs, this.nowUs);
    });
    return this.log;
  }

  private network(): HttpContext {
    const origin = { isTls: false, host: 't.test', port: 80, authority: 't.test' };
    const send = (exchange: Exchange, onDone: (exchange: Exchange) => void): void => {
      const nth = this.log.push(exchange.head.slice(exchange.head.indexOf('/') + 1, exchange.head.indexOf(' HTTP'))) - 1;
      setImmediate(() => {
        this.nowUs += ANSWER_US;
        const { status: code, ...body } = answerTo(this.iteration, nth);
        const answer = { status: code, error: undefined, sentUs: this.nowUs, endedUs: this.nowUs, location: '', challenge: '' };
        onDone(Object.assign(exchange, answer, { responseBody: Buffer.from(JSON.stringify(body)) }));
      });
    };
    const client: HttpClient = { send, abort: () => {}, beginIteration: () => {}, close: () => {} };
    return {
      createClient: () => client,
      parseUrl: (url) => ({ origin, path: new URL(url).pathname }),
      openSockets: 0,
      bytesSent: 0,
      bytesReceived: 0,
      close: () => Promise.resolve(),
    };
  }
}

/** Ends a try; ends an iteration. */
class TryFailed extends Error {}
class IterationOver extends Error {}

/** The same flow, walked the plain way: by recursion. */
class Walk {
  readonly log: string[] = [];
  private readonly iteration: number;
  private readonly sites = new Map<Step, number>();
  private nowUs = 0;
  private n: number | undefined;
  private list: readonly number[] | undefined;
  private status = 0;
  private draws = 0;

  constructor(flow: StepFlow, iteration: number) {
    this.iteration = iteration;
    this.number([...flow.steps, ...(flow.finally?.steps ?? [])]);
    this.whole(flow.steps);
    this.whole(flow.finally?.steps ?? []);
  }

  private whole(steps: readonly Step[]): void {
    try {
      this.steps(steps, false);
    } catch (thrown) {
      if (!(thrown instanceof IterationOver)) throw thrown;
    }
  }

  /** Choices are numbered as they are written, a choice before those inside it. */
  private number(steps: readonly Step[]): void {
    for (const step of steps) {
      if (step.kind === 'choose') {
        this.sites.set(step, this.sites.size);
        for (const branch of step.branches) this.number(branch.steps);
      } else if (step.kind === 'if') this.number([...step.then, ...step.else]);
      else if ('steps' in step) this.number(step.steps);
    }
  }

  private steps(steps: readonly Step[], isTry: boolean): void {
    for (const step of steps) this.step(step, isTry);
  }

  private step(step: Step, isTry: boolean): void {
    switch (step.kind) {
      case 'request':
        this.fails(!this.send(step, true), isTry);
        return;
      case 'parallel':
        this.fails(!step.requests.map((one, i) => this.send(one, i === 0)).every(Boolean), isTry);
        return;
      case 'think':
        return;
      case 'group':
      case 'transaction':
        this.steps(step.steps, isTry);
        return;
      case 'loop':
        for (let turn = 0; turn < Number(step.times); turn++) this.steps(step.steps, isTry);
        return;
      case 'while':
        for (let turn = 0; this.holds(step.condition); turn++) {
          if (turn === step.limit) throw new IterationOver();
          this.steps(step.steps, isTry);
        }
        return;
      case 'foreach': {
        const { list } = this;
        if (list === undefined) throw new IterationOver();
        list.forEach(() => {
          this.steps(step.steps, isTry);
        });
        return;
      }
      case 'if':
        this.steps(this.holds(step.condition) ? step.then : step.else, isTry);
        return;
      case 'choose': {
        const seed = seedFor(SEED, `choose ${String(this.sites.get(step))}`);
        let left = uniform(hash32(seed, this.draws++), this.iteration) * step.branches.reduce((sum, { weight }) => sum + weight, 0);
        const drawn = step.branches.find(({ weight }) => (left -= weight) < 0);
        this.steps(drawn?.steps ?? [], isTry);
        return;
      }
      case 'retry':
        this.fails(!this.tries(step.steps, step.times), isTry);
        return;
      case 'poll': {
        const deadlineUs = this.nowUs + step.limitUs;
        for (;;) {
          this.send(step.request, true);
          if (this.holds(step.until)) return;
          if (this.nowUs >= deadlineUs) break;
        }
        this.fails(true, isTry);
      }
    }
  }

  private tries(steps: readonly Step[], more: number): boolean {
    for (let left = more; ; left--) {
      try {
        this.steps(steps, true);
        return true;
      } catch (thrown) {
        if (!(thrown instanceof TryFailed)) throw thrown;
        if (left === 0) return false;
      }
    }
  }

  private fails(hasFailed: boolean, isTry: boolean): void {
    if (hasFailed && isTry) throw new TryFailed();
  }

  private send(step: RequestStep, isLookedAt: boolean): boolean {
    const answer = answerTo(this.iteration, this.log.push(step.name) - 1);
    this.nowUs += ANSWER_US;
    this.n = answer.n;
    this.list = answer.list;
    if (isLookedAt) this.status = answer.status;
    return answer.status === 200;
  }

  private holds(condition: Condition): boolean {
    const [term] = condition;
    if (term?.subject.kind === 'status') return this.status === 200;
    return term?.test.op === '<' && this.n !== undefined && this.n < Number(term.test.value);
  }
}
