import type { Summary } from '../../shared/report/index.ts';
import { imbalances } from '../../shared/stats/index.ts';

/** One request as the target saw it. Every iteration of a campaign's plans is one request. */
export interface Fired {
  readonly scenario: string;
  readonly index: number;
  /** The process that sent it; 0 where the flow could not say. */
  readonly pid: number;
}

/** The last line of one agent process in `intervals.ndjson`. */
export interface SealedBy {
  readonly agent: string;
  readonly incarnation: string;
  readonly samplesRecorded: number;
  /** Its part was over, and all of it delivered. */
  readonly isFinal: boolean;
}

/** What was done to one agent that took part in the run. */
export interface AgentFate {
  readonly id: string;
  readonly pid: number;
  /** Killed while the run was on: what it had under way nobody knows. */
  readonly isKilled: boolean;
  /** Frozen or cut off for so long that it may be given up, and is not to be believed lost without that. */
  readonly mayBeLost: boolean;
}

/** All that is known of a run when it is over, from three sides: the summary, the bundle's lines, the target. */
export interface Evidence {
  readonly summary: Summary;
  readonly exitCode: number | null;
  /** Names of the scenarios that plan instants: an index of theirs belongs to one agent for ever, once it is due. */
  readonly openScenarios: ReadonlySet<string>;
  /** Names of the scenarios whose VUs loop: of them nothing is planned, so the ledger has no number for what a dead agent did unheard. */
  readonly loopingScenarios: ReadonlySet<string>;
  /** Arrivals of each open scenario where the plan was not changed on the way. */
  readonly plannedOpen: Readonly<Record<string, number>>;
  readonly sealed: readonly SealedBy[];
  /** Samples in all lines of `intervals.hlog`. */
  readonly samplesInLog: number;
  readonly fired: readonly Fired[];
  readonly agents: readonly AgentFate[];
  readonly coordinatorKills: number;
  /** Processes that were still there after everything was told to end. */
  readonly left: readonly number[];
}

export interface Findings {
  /** Laws that the run broke, in words; empty when it kept them. */
  readonly violations: readonly string[];
  /** Indices that a killed process had in flight and somebody else fired again. */
  readonly refired: readonly string[];
}

/** Judges a run by what the three sides say of each other. Every rule is one function, so that each can be shown to catch its kind. */
export function check(evidence: Evidence): Findings {
  const { violations, refired } = firedTwice(evidence);
  return {
    violations: [
      ...imbalances(evidence.summary.ledger).map((broken) => `the ledger does not balance: ${broken}`),
      ...violations,
      ...samples(evidence),
      ...targetCount(evidence),
      ...indices(evidence),
      ...validity(evidence),
      ...evidence.left.map((pid) => `process ${pid} was left behind`),
    ],
    refired,
  };
}

/** An index is fired once. Only what a killed process had in flight may be fired again by who took over. */
function firedTwice({ fired, agents }: Evidence): Findings {
  const killed = new Set(agents.flatMap(({ pid, isKilled }) => (isKilled ? [pid] : [])));
  const violations: string[] = [];
  const refired: string[] = [];
  for (const [key, pids] of byIndex(fired)) {
    if (pids.length === 1) continue;
    const said = `${key} was fired by ${pids.map((pid) => (pid === 0 ? 'somebody' : `process ${pid}`)).join(' and ')}`;
    // At most one of them may have lived on; where a flow does not say who it is, somebody must have been killed.
    const living = pids.filter((pid) => pid !== 0 && !killed.has(pid)).length;
    const unnamed = pids.filter((pid) => pid === 0).length;
    if (living + Math.max(0, unnamed - killed.size) <= 1 && killed.size > 0) refired.push(said);
    else violations.push(`an index was fired twice: ${said}`);
  }
  return { violations, refired };
}

/** What the agents sealed is what was merged is what the bundle holds. */
function* samples({ summary, sealed, samplesInLog }: Evidence): Generator<string> {
  const { merged, missing } = summary.ledger.samples;
  if (missing > 0) yield `${missing} recorded samples never arrived`;
  const recorded = sealed.reduce((sum, { samplesRecorded }) => sum + samplesRecorded, 0);
  if (recorded !== merged) yield `agents sealed ${recorded} samples and ${merged} were merged`;
  if (samplesInLog !== merged) yield `the interval log holds ${samplesInLog} samples and ${merged} were merged`;
  const { completed } = summary.ledger;
  const counted = summary.metrics['iterations'];
  const iterations = counted?.type === 'counter' ? counted.count : 0;
  if (iterations !== completed) yield `the metric counts ${iterations} iterations and the ledger ${completed} that completed`;
}

/** The target saw at least what was completed, and at most what was started or is unknown, or was sent by the looping VUs of a process
 *  that was killed, or lost and not heard again. */
function* targetCount({ summary, fired, agents, loopingScenarios, sealed }: Evidence): Generator<string> {
  const { started, completed, unknown } = summary.ledger;
  const lost = lostAgents(summary);
  const done = doneAgents(sealed);
  const isSilent = ({ id, isKilled }: AgentFate): boolean => isKilled || (lost.has(id) && !done.has(id));
  const silent = new Set(agents.flatMap((agent) => (isSilent(agent) ? [agent.pid, 0] : [])));
  const unheard = fired.filter(({ scenario, pid }) => loopingScenarios.has(scenario) && silent.has(pid)).length;
  if (fired.length < completed) yield `the target saw ${fired.length} requests and ${completed} iterations completed`;
  if (fired.length > started + unknown + unheard)
    yield `the target saw ${fired.length} requests, more than the ${started} started, ${unknown} unknown and ${unheard} of looping VUs that fell silent`;
}

/** Open plans fire their own indices and no others, and those that nobody fired are accounted for. */
function* indices({ summary, fired, openScenarios, plannedOpen }: Evidence): Generator<string> {
  let planned = 0;
  let distinct = 0;
  for (const [scenario, count] of Object.entries(plannedOpen)) {
    const own = new Set(fired.filter((one) => one.scenario === scenario).map(({ index }) => index));
    const beyond = [...own].filter((index) => index >= count || index < 0);
    if (beyond.length > 0) yield `${scenario} fired ${beyond.slice(0, 5).join(', ')}, which its plan of ${count} does not have`;
    planned += count;
    distinct += own.size;
  }
  const areAllOpen = fired.every(({ scenario }) => openScenarios.has(scenario)) && openScenarios.size === Object.keys(plannedOpen).length;
  if (!areAllOpen || planned !== summary.ledger.planned) return;
  const { dropped, undelivered, unknown, interrupted } = summary.ledger;
  const notFired = planned - distinct;
  if (notFired < dropped + undelivered)
    yield `${notFired} indices were not fired, fewer than ${dropped} dropped and ${undelivered} undelivered`;
  if (notFired > dropped + undelivered + unknown + interrupted)
    yield `${notFired} indices were not fired, more than the ledger accounts for: ${dropped} dropped, ${undelivered} undelivered, ${unknown} unknown, ${interrupted} interrupted`;
}

/** The grade and its reasons tell what was done to the run, and nothing that was not. */
function* validity({ summary, exitCode, sealed, agents, coordinatorKills }: Evidence): Generator<string> {
  const { grade, reasons } = summary.validity;
  const codes = new Set(reasons.map(({ code }) => code));
  const lost = lostAgents(summary);
  const { dropped, undelivered, unknown } = summary.ledger;
  // Who had nothing left to do when it was killed is missed by nobody.
  const done = doneAgents(sealed);
  for (const { id, isKilled } of agents)
    if (isKilled && !lost.has(id) && !done.has(id)) yield `agent ${id} was killed and validity does not say so`;
  for (const { id, isKilled, mayBeLost } of agents)
    if (lost.has(id) && !isKilled && !mayBeLost) yield `agent ${id} is said to be lost, and nothing was done to it`;
  if (lost.size !== summary.run.agents.lost) yield `${summary.run.agents.lost} agents are lost and ${lost.size} are named`;
  if (coordinatorKills > 0 && !codes.has('coordinator-restarted')) yield 'the coordinator was killed and validity does not say so';
  if (coordinatorKills === 0 && codes.has('coordinator-restarted'))
    yield 'the coordinator is said to have been restarted, which it was not';
  if (dropped + undelivered + unknown > 0 && !codes.has('load-not-delivered')) yield 'load was not delivered and validity does not say so';
  if (reasons.length > 0 && grade === 'valid') yield 'a valid run has reasons against it';
  const expected = grade === 'invalid' ? 111 : 0;
  if (exitCode !== expected) yield `a run that is ${grade} ended with ${String(exitCode)} instead of ${expected}`;
}

/** Agents that validity names as lost, for a while or for good. */
function lostAgents({ validity: { reasons } }: Summary): ReadonlySet<string> {
  return new Set(reasons.flatMap(({ code, agent }) => (code === 'agents-lost' && agent !== undefined ? [agent] : [])));
}

/** Agents whose last word arrived. */
function doneAgents(sealed: readonly SealedBy[]): ReadonlySet<string> {
  return new Set(sealed.flatMap(({ agent, isFinal }) => (isFinal ? [agent] : [])));
}

/** Who fired each index. */
function byIndex(fired: readonly Fired[]): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const { scenario, index, pid } of fired) {
    const key = `${scenario}/${index}`;
    const pids = found.get(key);
    if (pids === undefined) found.set(key, [pid]);
    else pids.push(pid);
  }
  return found;
}
