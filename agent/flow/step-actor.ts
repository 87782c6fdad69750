import { hash32, LOOP_TURNS_MAX, uniform, type CookiePolicy } from '../../shared/plan/index.ts';
import type { SpanError } from '../../shared/stats/index.ts';
import type { HttpContext } from '../protocol/index.ts';
import type { Actor, Surroundings } from './actor.ts';
import { newCookieJar, type CookieJar } from './cookie-jar.ts';
import type { Instruction, Program } from './instructions.ts';
import { Lane } from './lane.ts';
import { FlowFailure, type ScriptErrors } from './script-errors.ts';
import type { ReadyRequest } from './steps.ts';
import { MissingValue, type Values } from './template.ts';

/** Instructions carried out before the loop gets a turn: a flow that neither sends nor pauses must not keep it from other VUs. */
const INSTRUCTIONS_PER_TURN = 1_000;
/** The longest that Node's timers can wait; they would fire at once beyond. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Waits of a retry grow no further. */
const WAIT_US_MAX = 3_600_000_000;

/** What all VUs of one scenario of steps share. */
export interface StepContext {
  readonly program: Program;
  readonly slots: number;
  readonly http: HttpContext;
  readonly cookies: CookiePolicy;
  readonly seed: number;
  readonly errors: ScriptErrors;
}

/** A VU that walks the program of a flow. Requests call back into `onDone`, pauses into `goOn`; in between it runs through instructions.
 *  An iteration goes on after a failed request; it ends early only where it lacks a value, or a loop passes its limit. Whatever ends it,
 *  its clean-up runs before the VU is free again, for as long as its limit allows. */
export class StepActor implements Actor {
  readonly vu: number;
  cleanUpUs = 0;
  private readonly context: StepContext;
  private readonly instructions: readonly Instruction[];
  private readonly around: Surroundings;
  private readonly values: Values;
  private readonly cookies: CookieJar | undefined;
  private readonly main: Lane;
  /** Further lanes, opened by the first parallel step that needs them. */
  private readonly lanes: Lane[];
  private readonly registers: Float64Array;
  private readonly lists: (readonly unknown[])[];
  /** By span: when the flow reached it, 0 while it is not open; and the failures before it. */
  private readonly spanFromUs: Float64Array;
  private readonly spanFailures: Float64Array;
  private next = 0;
  private underWay = 0;
  /** When the flow reached where it is: the plan's instant at first, then the end of what came before. */
  private wantedUs = 0;
  private pause: NodeJS.Timeout | undefined;
  private turn: NodeJS.Immediate | undefined;
  private isInterrupted = false;
  private failures = 0;
  private lastError: SpanError | undefined;
  private thinks = 0;
  private choices = 0;
  /** Clean-up: when it began, 0 before; how the iteration had ended; when it is given up. */
  private cleanUpFromUs = 0;
  private wasCompleted = true;
  private cleanUpLimit: NodeJS.Timeout | undefined;

  constructor(vu: number, context: StepContext, around: Surroundings) {
    const { program, slots, http } = context;
    this.vu = vu;
    this.context = context;
    this.instructions = program.instructions;
    this.around = around;
    this.values = { vu, iteration: 0, captured: new Array<unknown>(slots).fill(undefined) };
    this.cookies = newCookieJar(context.cookies, around.clock);
    this.main = new Lane(http, around, this.values, this.cookies, this.onDone);
    this.lanes = [this.main];
    this.registers = new Float64Array(program.registers);
    this.lists = new Array<readonly unknown[]>(program.lists).fill([]);
    this.spanFromUs = new Float64Array(program.spans.length);
    this.spanFailures = new Float64Array(program.spans.length);
  }

  start(index: number, intendedUs: number, nowUs: number): void {
    this.values.iteration = index;
    if (this.context.slots > 0) this.values.captured.fill(undefined);
    this.next = 0;
    this.isInterrupted = false;
    this.failures = 0;
    this.lastError = undefined;
    this.choices = 0;
    this.cleanUpUs = 0;
    this.cleanUpFromUs = 0;
    this.wantedUs = intendedUs;
    this.cookies?.beginIteration();
    for (const lane of this.lanes) lane.beginIteration();
    this.run(nowUs, true);
  }

  interrupt(): void {
    // Clean-up has a limit of its own.
    if (this.cleanUpFromUs === 0) this.cut();
  }

  close(): void {
    for (const lane of this.lanes) lane.close();
  }

  /** By slot; what the last iteration captured, until the next one begins. */
  get captured(): readonly unknown[] {
    return this.values.captured;
  }

  /** Carries out instructions until one has to be waited for. */
  private run(nowUs: number, isStart = false): void {
    const { instructions, registers } = this;
    for (let left = INSTRUCTIONS_PER_TURN; left > 0; left--) {
      const instruction = instructions[this.next++]!;
      switch (instruction.op) {
        case 'request':
          if (this.prepare(this.main, instruction.request)) {
            this.underWay = 1;
            this.main.send(this.wantedUs);
            return;
          }
          break;
        case 'parallel':
          if (this.sendAll(instruction.requests)) return;
          break;
        case 'think': {
          const { minUs, maxUs } = instruction;
          this.wait(maxUs === minUs ? minUs : minUs + (maxUs - minUs) * uniform(this.context.seed + this.vu, this.thinks++));
          return;
        }
        case 'jump':
          this.next = instruction.to;
          break;
        case 'unless':
          if (!instruction.condition(this.values, this.main.response)) this.next = instruction.to;
          break;
        case 'choose': {
          const { seed, upTo, to } = instruction;
          const draw = uniform(hash32(seed, this.choices++), this.values.iteration) * (upTo.at(-1) ?? 0);
          this.next =
            to[
              Math.max(
                0,
                upTo.findIndex((end) => draw < end),
              )
            ] ?? this.next;
          break;
        }
        case 'turns':
          registers[instruction.register] = this.turnsOf(instruction.turns, nowUs);
          break;
        case 'turn': {
          const { register, failure, to } = instruction;
          if (registers[register]!-- > 0) break;
          if (failure === undefined) this.next = to;
          else this.fail(failure, nowUs);
          break;
        }
        case 'list': {
          const list = instruction.read(this.values);
          if (Array.isArray(list)) {
            this.lists[instruction.list] = list;
            registers[instruction.register] = 0;
          } else if (list === undefined) this.giveUp('capture', nowUs);
          else this.fail(`foreach: what was captured as "${instruction.name}" is no list`, nowUs);
          break;
        }
        case 'member': {
          const list = this.lists[instruction.list]!;
          const at = registers[instruction.register]!++;
          if (at < list.length && at < LOOP_TURNS_MAX) this.values.captured[instruction.slot] = list[at];
          else this.next = instruction.to;
          break;
        }
        case 'mark':
          registers[instruction.register] = nowUs;
          break;
        case 'hold': {
          const leftUs = registers[instruction.register]! + instruction.us - nowUs;
          if (leftUs <= 0) break;
          this.wait(leftUs);
          return;
        }
        case 'enter':
          this.spanFromUs[instruction.span] = this.wantedUs;
          this.spanFailures[instruction.span] = this.failures;
          break;
        case 'leave':
          this.leave(instruction.span, nowUs, this.failures > this.spanFailures[instruction.span]! ? this.lastError : undefined);
          break;
        case 'try':
          registers[instruction.register] = instruction.times;
          registers[instruction.register + 1] = this.failures;
          registers[instruction.register + 2] = instruction.waitUs;
          break;
        case 'if-failed':
          if (this.failures > registers[instruction.register]!) this.next = instruction.to;
          break;
        case 'again': {
          const { register, backoff, to } = instruction;
          if (this.failures === registers[register + 1] || registers[register]!-- <= 0) break;
          this.failures = registers[register + 1]!;
          const waitUs = registers[register + 2]!;
          registers[register + 2] = Math.min(waitUs * backoff, WAIT_US_MAX);
          this.next = to;
          if (waitUs === 0) break;
          this.wait(waitUs);
          return;
        }
        case 'poll':
          registers[instruction.register] = this.wantedUs + instruction.limitUs;
          registers[instruction.register + 1] = this.failures;
          break;
        case 'forgive':
          this.failures = registers[instruction.register + 1]!;
          this.next = instruction.to;
          break;
        case 'ask-again': {
          const { register, everyUs, to } = instruction;
          this.failures = registers[register + 1]!;
          const leftUs = registers[register]! - nowUs;
          if (leftUs <= 0) {
            this.failures++;
            this.lastError = 'poll-limit';
            break;
          }
          this.next = to;
          this.wait(Math.min(everyUs, leftUs));
          return;
        }
        case 'end':
          // An iteration never ends within its own start.
          if (isStart) {
            this.next--;
            this.turn = setImmediate(this.goOn);
          } else if (this.cleanUpFromUs === 0) this.finish(true, nowUs);
          else this.finishCleanUp(nowUs);
          return;
      }
    }
    this.turn = setImmediate(this.goOn);
  }

  /** False when a value is missing: the iteration cannot go on. Clean-up leaves such a step out, for there may be nothing to clean. */
  private prepare(lane: Lane, request: ReadyRequest): boolean {
    try {
      lane.prepare(request);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof MissingValue)) throw thrown;
      if (this.cleanUpFromUs === 0) this.giveUp('capture', this.around.clock.nowUs());
      return false;
    }
  }

  private sendAll(requests: readonly ReadyRequest[]): boolean {
    const { http } = this.context;
    while (this.lanes.length < requests.length) this.lanes.push(new Lane(http, this.around, this.values, this.cookies, this.onDone));
    if (!requests.every((request, i) => this.prepare(this.lanes[i]!, request))) return false;
    this.underWay = requests.length;
    for (let i = 0; i < requests.length; i++) this.lanes[i]!.send(this.wantedUs);
    return true;
  }

  private readonly onDone = (lane: Lane): void => {
    const { error, endedUs } = lane;
    if (error !== undefined) {
      this.failures++;
      this.lastError = error;
    }
    this.underWay--;
    if (this.underWay > 0) return;
    if (this.isInterrupted) {
      this.finishEarly(endedUs);
      return;
    }
    this.wantedUs = endedUs;
    this.run(endedUs);
    this.around.afterResponse(endedUs);
  };

  private wait(us: number): void {
    this.pause = setTimeout(this.goOn, Math.min(us / 1000, TIMER_MS_MAX));
  }

  /** A pause is over, or the loop had its turn. */
  private readonly goOn = (): void => {
    const nowUs = this.around.clock.nowUs();
    if (this.pause !== undefined) this.wantedUs = nowUs;
    this.pause = undefined;
    this.turn = undefined;
    this.run(nowUs);
  };

  /** Ends what is under way, and with it the iteration or its clean-up. */
  private cut(): void {
    this.isInterrupted = true;
    if (this.underWay > 0) {
      // The last of them calls `finishEarly`.
      for (const lane of this.lanes) lane.abort();
      return;
    }
    clearTimeout(this.pause);
    clearImmediate(this.turn);
    this.pause = undefined;
    this.turn = undefined;
    this.finishEarly(this.around.clock.nowUs());
  }

  private finishEarly(nowUs: number): void {
    this.closeSpans('aborted', nowUs);
    if (this.cleanUpFromUs === 0) this.finish(false, nowUs);
    else this.finishCleanUp(nowUs);
  }

  /** The flow itself is over: clean up, or end. */
  private finish(isCompleted: boolean, nowUs: number): void {
    const { cleanUpAt, cleanUpLimitUs } = this.context.program;
    if (cleanUpAt < 0) {
      this.end(isCompleted, nowUs);
      return;
    }
    this.wasCompleted = isCompleted;
    this.isInterrupted = false;
    this.cleanUpFromUs = nowUs;
    this.wantedUs = nowUs;
    this.next = cleanUpAt;
    this.cleanUpLimit = setTimeout(this.giveUpCleanUp, cleanUpLimitUs / 1000);
    this.turn = setImmediate(this.goOn);
  }

  private readonly giveUpCleanUp = (): void => {
    this.cut();
  };

  private finishCleanUp(nowUs: number): void {
    clearTimeout(this.cleanUpLimit);
    this.cleanUpLimit = undefined;
    this.cleanUpUs = nowUs - this.cleanUpFromUs;
    this.end(this.wasCompleted, nowUs);
  }

  private end(isCompleted: boolean, endedUs: number): void {
    this.around.beforeSample(endedUs);
    this.around.ended(this, isCompleted, endedUs);
  }

  /** The flow cannot go on, and its author has to be told why. */
  private fail(reason: string, nowUs: number): void {
    this.context.errors.add(new FlowFailure(reason));
    this.giveUp('flow-limit', nowUs);
  }

  /** Goes to the end of the program, past everything that is left of it. */
  private giveUp(error: SpanError, nowUs: number): void {
    this.closeSpans(error, nowUs);
    const { program } = this.context;
    this.next = this.cleanUpFromUs === 0 ? program.epilogueAt : program.instructions.length - 1;
  }

  private closeSpans(error: SpanError, nowUs: number): void {
    for (let span = 0; span < this.spanFromUs.length; span++) if (this.spanFromUs[span]! > 0) this.leave(span, nowUs, error);
  }

  private leave(span: number, nowUs: number, error: SpanError | undefined): void {
    this.around.beforeSample(nowUs);
    this.context.program.spans[span]!.record(this.spanFromUs[span]!, nowUs, error);
    this.spanFromUs[span] = 0;
  }

  private turnsOf(turns: Extract<Instruction, { op: 'turns' }>['turns'], nowUs: number): number {
    if (typeof turns === 'number') return turns;
    try {
      const text = turns.render(this.values);
      const count = text.trim() === '' ? NaN : Number(text);
      if (Number.isInteger(count) && count >= 0 && count <= LOOP_TURNS_MAX) return count;
      this.fail(`loop: expected a whole number of turns from 0 to ${LOOP_TURNS_MAX}, got "${text.slice(0, 60)}"`, nowUs);
    } catch (thrown) {
      if (!(thrown instanceof MissingValue)) throw thrown;
      this.giveUp('capture', nowUs);
    }
    return 0;
  }
}
