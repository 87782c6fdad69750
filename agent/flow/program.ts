import {
  seedFor,
  type Condition,
  type PollStep,
  type RequestStep,
  type RetryStep,
  type SpanStep,
  type Step,
  type StepFlow,
} from '../../shared/plan/index.ts';
import { CLEAN_UP_TAGS, type Tags } from '../../shared/stats/index.ts';
import type { FlowSamples, Recorder } from '../recorder.ts';
import { CleanUpRecorder } from './clean-up-recorder.ts';
import { looksOf, readyCondition, roamingConditions } from './conditions.ts';
import type { Instruction, Program } from './instructions.ts';
import { SpanRecorder } from '../span-recorder.ts';
import { readyRequest, type Looks, type ReadyRequest, type RequestSources } from './steps.ts';
import { readyTemplate, readyValue } from './template.ts';

/** Compiles the tree of steps into one flat program. */
export function compileProgram(flow: StepFlow, scenario: string, recorder: Recorder, sources: RequestSources): Program {
  const everywhere = roamingConditions([...flow.steps, ...(flow.finally?.steps ?? [])]);
  // A branch on the status does not say which statuses are right: a check does, or the condition of a poll.
  const looks = { ...looksOf(everywhere), atStatus: false };
  const compiler = new ProgramCompiler(scenario, recorder, sources, looks);
  const pacingUs = flow.pacingUs ?? 0;
  const epilogueAt = compiler.paced(pacingUs, () => {
    compiler.steps(flow.steps, MAIN);
  });
  compiler.emit({ op: 'end' });
  const cleanUpAt = flow.finally === undefined ? -1 : compiler.here;
  if (flow.finally !== undefined) {
    compiler.steps(flow.finally.steps, { ...MAIN, tags: CLEAN_UP_TAGS, apart: new CleanUpRecorder(recorder, scenario) });
    compiler.emit({ op: 'end' });
  }
  return { ...compiler.program, epilogueAt, cleanUpAt, cleanUpLimitUs: flow.finally?.limitUs ?? 0 };
}

/** Around a step: what its results are tagged with, and what happens when it fails. */
interface Around {
  /** Names of the groups around, outermost first. */
  readonly groups: readonly string[];
  readonly tags: Tags;
  readonly apart: FlowSamples | undefined;
  /** The retry whose try a failure ends, and the jumps there that still lack their target. */
  readonly retry: { readonly register: number; readonly jumps: Jump[] } | undefined;
}

const MAIN: Around = { groups: [], tags: {}, apart: undefined, retry: undefined };

/** An instruction whose target is known later. */
interface Jump {
  to: number;
}

class ProgramCompiler {
  private readonly instructions: Instruction[] = [];
  private readonly spans: SpanRecorder[] = [];
  private registers = 0;
  private lists = 0;
  private chooses = 0;
  private readonly scenario: string;
  private readonly recorder: Recorder;
  private readonly sources: RequestSources;
  private readonly looks: Looks;

  constructor(scenario: string, recorder: Recorder, sources: RequestSources, looks: Looks) {
    this.scenario = scenario;
    this.recorder = recorder;
    this.sources = sources;
    this.looks = looks;
  }

  /** Position of the next instruction. */
  get here(): number {
    return this.instructions.length;
  }

  get program(): Pick<Program, 'instructions' | 'spans' | 'registers' | 'lists'> {
    const { instructions, spans, registers, lists } = this;
    return { instructions, spans, registers, lists };
  }

  emit<I extends Instruction>(instruction: I): I {
    this.instructions.push(instruction);
    return instruction;
  }

  steps(steps: readonly Step[], around: Around): void {
    for (const step of steps) this.step(step, around);
  }

  /** `body`, lasting at least `pacingUs`. Returns where the waiting is, or else the end of it. */
  paced(pacingUs: number, body: () => void): number {
    const register = pacingUs > 0 ? this.registers++ : -1;
    if (register >= 0) this.emit({ op: 'mark', register });
    body();
    const at = this.here;
    if (register >= 0) this.emit({ op: 'hold', register, us: pacingUs });
    return at;
  }

  private step(step: Step, around: Around): void {
    switch (step.kind) {
      case 'request':
        this.emit({ op: 'request', request: this.request(step, around) });
        this.endTryIfFailed(around);
        return;
      case 'parallel':
        this.emit({ op: 'parallel', requests: step.requests.map((request) => this.request(request, around)) });
        this.endTryIfFailed(around);
        return;
      case 'think':
        this.emit({ op: 'think', minUs: step.minUs, maxUs: step.maxUs });
        return;
      case 'group':
      case 'transaction':
        this.span(step, around);
        return;
      case 'loop': {
        const register = this.registers++;
        const { times } = step;
        this.emit({ op: 'turns', register, turns: typeof times === 'number' ? times : readyTemplate(times, this.sources) });
        this.turning(this.here, step, around, [this.emit({ op: 'turn', register, failure: undefined, to: -1 })]);
        return;
      }
      case 'while': {
        const register = this.registers++;
        this.emit({ op: 'turns', register, turns: step.limit });
        const again = this.here;
        const exit = this.unless(step.condition);
        this.emit({
          op: 'turn',
          register,
          failure: `a while of scenario ${this.scenario} still goes on after its limit of ${step.limit} turns`,
          to: -1,
        });
        this.turning(again, step, around, [exit]);
        return;
      }
      case 'foreach': {
        const register = this.registers++;
        const list = this.lists++;
        const read = readyValue({ source: 'capture', name: step.list, field: '', as: 'text' }, this.sources);
        this.emit({ op: 'list', list, register, name: step.list, read });
        const slot = this.sources.slots.slot(step.item);
        this.turning(this.here, step, around, [this.emit({ op: 'member', list, register, slot, to: -1 })]);
        return;
      }
      case 'if': {
        const otherwise = this.unless(step.condition);
        this.steps(step.then, around);
        const over = step.else.length > 0 ? this.jump() : undefined;
        this.land([otherwise]);
        this.steps(step.else, around);
        if (over !== undefined) this.land([over]);
        return;
      }
      case 'choose':
        this.choose(step, around);
        return;
      case 'retry':
        this.retry(step, around);
        return;
      case 'poll':
        this.poll(step, around);
        return;
    }
  }

  private request(step: RequestStep, { groups, tags, apart }: Around, looks = this.looks): ReadyRequest {
    const recorder = this.recorder.step(this.scenario, step.name, step.method, { ...groupTag(groups), ...tags });
    return readyRequest(step, recorder, apart, looks, this.sources);
  }

  private span({ kind, name, steps }: SpanStep, around: Around): void {
    const groups = kind === 'group' ? [...around.groups, name] : around.groups;
    this.measured(kind, name, { ...around, groups }, around, (inner) => {
      this.steps(steps, inner);
    });
  }

  /** Measures `body`. A failure that ends a try leaves through the end of the span, so that it is recorded. */
  private measured(kind: SpanStep['kind'], name: string, inner: Around, around: Around, body: (inner: Around) => void): void {
    const tags = { scenario: this.scenario, ...(kind === 'group' ? {} : { name }), ...groupTag(inner.groups), ...inner.tags };
    const span = this.spans.push(new SpanRecorder(this.recorder, kind === 'group' ? 'group_duration' : 'transaction_duration', tags)) - 1;
    this.emit({ op: 'enter', span });
    const retry = inner.retry === undefined ? undefined : { register: inner.retry.register, jumps: [] };
    body({ ...inner, retry });
    this.land(retry?.jumps ?? []);
    this.emit({ op: 'leave', span });
    this.endTryIfFailed(around);
  }

  /** The body of a loop whose head stands at `again`; `exits` leave it. */
  private turning(
    again: number,
    { steps, pacingUs }: { readonly steps: readonly Step[]; readonly pacingUs: number },
    around: Around,
    exits: Jump[],
  ): void {
    this.paced(pacingUs, () => {
      this.steps(steps, around);
    });
    this.emit({ op: 'jump', to: again });
    this.land(exits);
  }

  private choose({ branches }: Extract<Step, { kind: 'choose' }>, around: Around): void {
    let total = 0;
    const upTo = branches.map(({ weight }) => (total += weight));
    const choice = this.emit({ op: 'choose', seed: seedFor(this.sources.seed, `choose ${this.chooses++}`), upTo, to: [] as number[] });
    const overs = branches.map(({ steps }) => {
      choice.to.push(this.here);
      this.steps(steps, around);
      return this.jump();
    });
    this.land(overs);
  }

  private retry({ times, waitUs, backoff, steps }: RetryStep, around: Around): void {
    const register = this.registers;
    this.registers += 3;
    this.emit({ op: 'try', register, times, waitUs });
    const again = this.here;
    const retry = { register: register + 1, jumps: [] as Jump[] };
    this.steps(steps, { ...around, retry });
    this.land(retry.jumps);
    this.emit({ op: 'again', register, backoff, to: again });
    this.endTryIfFailed(around);
  }

  private poll({ name, everyUs, limitUs, until, request }: PollStep, around: Around): void {
    const register = this.registers;
    this.registers += 2;
    // What single tries come to is for the poll alone to judge.
    this.measured('transaction', name, { ...around, retry: undefined }, around, (inner) => {
      this.emit({ op: 'poll', register, limitUs });
      const again = this.here;
      const own = looksOf([until]);
      const { looks } = this;
      this.emit({
        op: 'request',
        request: this.request(request, inner, {
          atHeaders: looks.atHeaders || own.atHeaders,
          atBody: looks.atBody || own.atBody,
          atStatus: looks.atStatus || own.atStatus,
          isAny: true,
        }),
      });
      const notYet = this.unless(until);
      const over = this.emit({ op: 'forgive', register, to: -1 });
      this.land([notYet]);
      this.emit({ op: 'ask-again', register, everyUs, to: again });
      this.land([over]);
    });
  }

  private unless(condition: Condition): Jump {
    return this.emit({ op: 'unless', condition: readyCondition(condition, this.sources), to: -1 });
  }

  private jump(): Jump {
    return this.emit({ op: 'jump', to: -1 });
  }

  private endTryIfFailed({ retry }: Around): void {
    if (retry !== undefined) retry.jumps.push(this.emit({ op: 'if-failed', register: retry.register, to: -1 }));
  }

  /** The jumps lead here. */
  private land(jumps: readonly Jump[]): void {
    for (const jump of jumps) jump.to = this.here;
  }
}

function groupTag(groups: readonly string[]): Tags {
  return groups.length === 0 ? {} : { group: groups.join(' / ') };
}
