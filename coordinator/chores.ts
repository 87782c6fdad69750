import { AppError, type Clock } from '../shared/base/index.ts';
import type { Plan } from '../shared/plan/index.ts';
import type { ChoreDone } from '../shared/wire/index.ts';
import type { Fleet } from './fleet.ts';
import type { Participant, Participants } from './participants.ts';

/** Beyond a chore's own limit, which its agent keeps: time for the messages. */
const ANSWER_MARGIN_MS = 5_000;

type Kind = 'setup' | 'teardown';

export interface ChoresContext {
  readonly runId: string;
  readonly plan: Plan;
  readonly fleet: Fleet;
  readonly participants: Participants;
  readonly clock: Clock;
  /** Somebody is about to be asked: from here on it counts as begun. */
  readonly giving: (kind: Kind, agent: string) => void;
  /** Something that happened, for the events of the run and the terminal. */
  readonly tell: (kind: Kind, agent: string, failure: string) => void;
}

/** What a coordinator that died had come to. */
export interface ChoresBefore {
  readonly setupJson: string;
  readonly setupAgent: string | undefined;
  /** Who was given the teardown. */
  readonly teardownAgent: string | undefined;
  /** What became of it; empty for well. */
  readonly teardown: string | undefined;
}

/** Setup and teardown of a run: each is given to one agent, once. An agent that is lost in the middle of one has done nobody knows how
 *  much of it, so no other agent is asked to do it again. */
export class Chores {
  private readonly context: ChoresContext;
  /** What the setup returned, as JSON; empty for nothing. */
  setupJson = '';
  /** The one that did the setup; what it holds, say a session, may be of use to the teardown. */
  private doer: Participant | undefined;
  private readonly before: ChoresBefore | undefined;

  constructor(context: ChoresContext, before?: ChoresBefore) {
    this.context = context;
    this.before = before;
    if (before === undefined) return;
    this.setupJson = before.setupJson;
    this.doer = this.participant(before.setupAgent);
  }

  /** Throws `AppError`: `SCRIPT_THREW` when the setup's own code failed, `SETUP_FAILED` when a request of it did or it took too long,
   *  `NO_AGENTS` when its agent was lost. Returns early, with nothing thrown, when `signal` aborts. */
  async setUp(signal: AbortSignal): Promise<void> {
    const { plan, participants } = this.context;
    const [doer] = participants.all;
    if (plan.setupLimitMs === undefined || doer === undefined) return;
    this.doer = doer;
    this.give('setup', doer, plan.setupLimitMs);
    const done = await this.answer('setup', doer, plan.setupLimitMs, signal);
    if (signal.aborted) return;
    if (typeof done === 'string') {
      const code = doer.disconnected === undefined ? 'SETUP_FAILED' : 'NO_AGENTS';
      throw new AppError(code, `the setup did not end: ${done}; it is not run a second time`);
    }
    this.context.tell('setup', doer.agent.id, done.failure);
    if (done.failure !== '') throw new AppError(done.scriptThrew ? 'SCRIPT_THREW' : 'SETUP_FAILED', `the setup failed: ${done.failure}`);
    this.setupJson = done.resultJson;
  }

  /** Never throws: what was measured stands. Resolves with why it failed, or `undefined`. */
  async tearDown(): Promise<string | undefined> {
    const { plan, participants } = this.context;
    if (plan.teardownLimitMs === undefined) return undefined;
    if (this.before?.teardown !== undefined) return this.before.teardown === '' ? undefined : this.before.teardown;
    // Somebody may have done it, or some of it, while nobody listened: it is waited for and not repeated.
    const given = this.participant(this.before?.teardownAgent);
    const living = participants.all.filter(({ disconnected, isLost }) => disconnected === undefined && !isLost);
    const doer = given ?? living.find((part) => part === this.doer) ?? living[0];
    if (doer !== undefined && given === undefined) this.give('teardown', doer, plan.teardownLimitMs);
    const done = doer === undefined ? 'no agent is left to run it' : await this.answer('teardown', doer, plan.teardownLimitMs, NEVER);
    const failure = typeof done === 'string' ? done : done.failure;
    this.context.tell('teardown', doer?.agent.id ?? '', failure);
    return failure === '' ? undefined : failure;
  }

  private give(kind: Kind, doer: Participant, limitMs: number): void {
    const { fleet, runId, giving } = this.context;
    giving(kind, doer.agent.id);
    fleet.send(doer.agent, { $case: 'chore', value: { runId, kind, limitMs, setupJson: this.setupJson } });
  }

  private participant(id: string | undefined): Participant | undefined {
    return this.context.participants.all.find(({ agent }) => agent.id === id);
  }

  /** What the agent answered, or why it did not. */
  private async answer(kind: Kind, doer: Participant, limitMs: number, signal: AbortSignal): Promise<ChoreDone | string> {
    const { fleet } = this.context;
    const answer = (): ChoreDone | undefined => (doer.choreDone?.kind === kind ? doer.choreDone : undefined);
    const isGone = (): boolean => doer.disconnected !== undefined && doer.awaitedUntilUs <= this.context.clock.nowUs();
    await fleet.until(() => answer() !== undefined || isGone(), limitMs + ANSWER_MARGIN_MS, signal);
    const { disconnected } = doer;
    return (
      answer() ??
      (disconnected === undefined ? `agent ${doer.agent.id} did not answer` : `agent ${doer.agent.id} was lost (${disconnected})`)
    );
  }
}

/** A teardown is what stopping leads to; nothing stops it but its own limit. */
const NEVER = new AbortController().signal;
