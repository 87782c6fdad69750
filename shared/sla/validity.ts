import { imbalances, type Ledger } from '../stats/index.ts';
import { LATE_INTERVAL_US, SATURATED_INTERVALS, VERY_LATE_INTERVAL_US, type AgentHealth } from './health-watch.ts';

export type Grade = 'valid' | 'degraded' | 'invalid';

/** How far the numbers of a run can be trusted, and everything that speaks against them. */
export interface Validity {
  readonly grade: Grade;
  readonly reasons: readonly ValidityReason[];
}

export interface ValidityReason {
  readonly code: ReasonCode;
  /** What was seen and what the limit is, for people. */
  readonly detail: string;
  readonly grade: 'degraded' | 'invalid';
  readonly agent?: string;
}

/** One measured quantity and from where on it counts against the run. `0` means: any at all. */
export interface ValidityLimit {
  readonly measure: string;
  /** Whether every agent is judged by itself, or the run as a whole. */
  readonly of: 'agent' | 'run';
  readonly unit: 'ms' | '%' | 'cores' | 'samples' | 'agents' | 'iterations' | 'times' | 'files' | 'requests' | 'equations';
  readonly degradedAbove?: number;
  readonly invalidAbove?: number;
}

interface Rule {
  readonly meaning: string;
  readonly limits: Readonly<Record<string, ValidityLimit>>;
}

/** Every reason and its limits: the one table that grades are taken from and that the docs print. */
export const VALIDITY_RULES = {
  'agents-lost': {
    meaning: 'an agent went silent during the run: its share of the load is missing until the others took it over, or to the end',
    limits: { lost: { measure: 'agents lost', of: 'agent', unit: 'agents', degradedAbove: 0 } },
  },
  'load-not-delivered': {
    meaning: 'planned iterations were not fired: no VU was free, the agent was gone, or it cannot be known',
    limits: { missed: { measure: '(dropped + undelivered + unknown) / planned', of: 'run', unit: '%', degradedAbove: 0, invalidAbove: 5 } },
  },
  'target-unreachable': {
    meaning: 'requests were sent and not one was answered: nothing was measured but failures',
    limits: { unanswered: { measure: 'requests sent when none was answered', of: 'run', unit: 'requests', invalidAbove: 0 } },
  },
  'generator-lag': {
    meaning: 'the generator fired late: it, not the target, shaped the arrivals',
    limits: {
      runP99: { measure: 'pacer lag p99 over the run', of: 'run', unit: 'ms', degradedAbove: 10, invalidAbove: 100 },
      late: {
        measure: `intervals of one agent with pacer lag p99 above ${LATE_INTERVAL_US / 1_000} ms`,
        of: 'agent',
        unit: '%',
        degradedAbove: 50,
      },
      veryLate: {
        measure: `intervals of one agent with pacer lag p99 above ${VERY_LATE_INTERVAL_US / 1_000} ms`,
        of: 'agent',
        unit: '%',
        invalidAbove: 50,
      },
      stall: { measure: 'longest event-loop delay or pacer lag of one agent', of: 'agent', unit: 'ms', degradedAbove: 150 },
    },
  },
  'generator-saturated': {
    meaning: 'an agent ran out of CPU: its own queueing is part of the latencies',
    limits: {
      cpu: {
        measure: `CPU of one agent, mean of ${SATURATED_INTERVALS} consecutive intervals`,
        of: 'agent',
        unit: 'cores',
        degradedAbove: 0.9,
      },
    },
  },
  'beyond-calibration': {
    meaning:
      'an agent was asked to fire more than its machine has been shown to fire in time (muster calibrate): lag and latencies are not vouched for',
    limits: {
      beyond: {
        measure: "peak planned arrivals of one agent above its share of the machine's calibrated rate",
        of: 'agent',
        unit: '%',
        degradedAbove: 0,
      },
    },
  },
  'samples-missing': {
    meaning: 'agents recorded samples that never arrived: percentiles and counts are incomplete',
    limits: { missing: { measure: 'samples missing', of: 'run', unit: 'samples', invalidAbove: 0 } },
  },
  'ledger-imbalance': {
    meaning: 'the conservation equations do not hold: something was counted twice or not at all',
    limits: { broken: { measure: 'equations that do not hold', of: 'run', unit: 'equations', invalidAbove: 0 } },
  },
  'clock-uncertain': {
    meaning: "an agent's clock offset is not known well: instants of different agents do not line up",
    limits: {
      uncertainty: { measure: 'clock offset uncertainty of one agent', of: 'agent', unit: 'ms', degradedAbove: 5 },
      drift: {
        measure: 'drift of the clock of one agent from its start to the end of the run',
        of: 'agent',
        unit: 'ms',
        degradedAbove: 50,
      },
    },
  },
  'vus-exhausted': {
    meaning: 'arrivals had to wait for a free VU: raise maxVUs, or the target is slower than the plan assumed',
    limits: { wait: { measure: 'wait for a free VU, p99', of: 'run', unit: 'ms', degradedAbove: 10 } },
  },
  'bundle-incomplete': {
    meaning: 'a file of the run bundle could not be written, or the run left no end: what is on disk is not the whole run',
    limits: { failed: { measure: 'files not written', of: 'run', unit: 'files', invalidAbove: 0 } },
  },
  'series-capped': {
    meaning: 'more series than the cap: some samples stand under the name (other)',
    limits: { capped: { measure: 'samples under (other)', of: 'run', unit: 'samples', degradedAbove: 0 } },
  },
  'version-skew': {
    meaning: 'an agent runs another minor version than the coordinator',
    limits: { agents: { measure: 'agents of another version', of: 'agent', unit: 'agents', degradedAbove: 0 } },
  },
  'coordinator-restarted': {
    meaning: 'the coordinator was restarted during the run and took it up from the stream',
    limits: { restarts: { measure: 'restarts', of: 'run', unit: 'times', degradedAbove: 0 } },
  },
} as const satisfies Record<string, Rule>;

export type ReasonCode = keyof typeof VALIDITY_RULES;

export interface ValidityInput {
  readonly ledger: Ledger;
  readonly agentsLost: readonly string[];
  readonly health: readonly AgentHealth[];
  /** The highest planned rate, iterations a second; `undefined` when nothing is planned by a rate. */
  readonly plannedPerSecond?: number | undefined;
  /** Length of the intervals that `health` was taken over. */
  readonly intervalUs?: number;
  /** p99 of the trend `schedule_lag` over the whole run; `undefined` when no open model ran. */
  readonly scheduleLagP99Us: number | undefined;
  /** p99 of the time that due arrivals waited for a free VU; `undefined` when it was not measured. */
  readonly vuWaitP99Us: number | undefined;
  readonly clocks: readonly ClockSeen[];
  /** Places in scenario code that kept an agent's loop to itself, so that it can be said what stalled it. */
  readonly blocks?: readonly LoopBlockSeen[];
  readonly requests: { readonly sent: number; readonly answered: number };
  /** Why a file of the bundle could not be written. */
  readonly bundleFailure: string | undefined;
  /** Why samples did not arrive, where that is known. */
  readonly whyMissing?: string | undefined;
  readonly samplesUnderOther: number;
  readonly versionSkew: readonly { readonly agent: string; readonly version: string }[];
  readonly coordinatorRestarts: number;
  /** Agents whose machines were calibrated. */
  readonly calibrated?: readonly CalibratedAgent[];
}

export interface CalibratedAgent {
  readonly agent: string;
  /** At the peak of the plan, arrivals per second. */
  readonly askedPerSecond: number;
  /** What it can fire in time by the calibration of its machine, its share among the agents there. */
  readonly shownPerSecond: number;
}

export interface ClockSeen {
  readonly agent: string;
  readonly uncertaintyUs: number;
  /** How far it has moved against the coordinator's since the run began, beyond what the estimates leave open; absent: not at all. */
  readonly driftUs?: number;
}

export interface LoopBlockSeen {
  readonly agent: string;
  /** Function, source line, scenario. */
  readonly where: string;
  readonly times: number;
  readonly longestMs: number;
}

/** Grades a run: the worst of its reasons, `valid` without any. Reasons come in the order of the table, invalid ones first. */
export function gradeValidity(input: ValidityInput): Validity {
  const found = [...reasons(input)];
  const order = [...found.filter(({ grade }) => grade === 'invalid'), ...found.filter(({ grade }) => grade === 'degraded')];
  return { grade: order[0]?.grade ?? 'valid', reasons: order };
}

function* reasons(input: ValidityInput): Generator<ValidityReason> {
  const { ledger } = input;
  for (const agent of input.agentsLost) {
    yield* exceeding('agents-lost', 'lost', 1, `agent ${agent} was lost`, agent);
  }

  const missed = ledger.dropped + ledger.undelivered + ledger.unknown;
  // A ledger that planned nothing and still missed something is all missed; the imbalance is reported by itself.
  const missedPercent = missed === 0 ? 0 : ledger.planned > 0 ? (missed / ledger.planned) * 100 : 100;
  yield* exceeding(
    'load-not-delivered',
    'missed',
    missedPercent,
    `${missed} of ${ledger.planned} planned iterations were not fired (dropped ${ledger.dropped}, undelivered ${ledger.undelivered}, unknown ${ledger.unknown})`,
  );

  // Before what the generator did: without answers nothing else is worth reading.
  const { sent, answered } = input.requests;
  yield* exceeding('target-unreachable', 'unanswered', answered === 0 ? sent : 0, `${sent} requests were sent and none was answered`);

  yield* lagReasons(input);

  const advice = moreAgents(input);
  for (const { agent, cpuWorst } of input.health) {
    const seen = `agent ${agent} used ${cpuWorst.toFixed(2)} cores over ${SATURATED_INTERVALS} intervals${advice}`;
    yield* exceeding('generator-saturated', 'cpu', cpuWorst, seen, agent);
  }
  for (const { agent, askedPerSecond, shownPerSecond } of input.calibrated ?? []) {
    const percent = Math.max(0, (askedPerSecond / shownPerSecond - 1) * 100);
    const seen = `agent ${agent} was to fire ${Math.round(askedPerSecond)}/s, its machine is calibrated to ${Math.round(shownPerSecond)}/s an agent`;
    yield* exceeding('beyond-calibration', 'beyond', percent, seen, agent);
  }
  const { missing } = ledger.samples;
  const why = input.whyMissing === undefined ? '' : `: ${input.whyMissing}`;
  yield* exceeding('samples-missing', 'missing', missing, `${missing} recorded samples never arrived${why}`);
  for (const imbalance of imbalances(ledger)) yield* exceeding('ledger-imbalance', 'broken', 1, imbalance);
  for (const { agent, uncertaintyUs, driftUs = 0 } of input.clocks) {
    const ms = uncertaintyUs / 1_000;
    yield* exceeding('clock-uncertain', 'uncertainty', ms, `the clock of agent ${agent} is known to ±${ms.toFixed(1)} ms`, agent);
    const driftMs = driftUs / 1_000;
    const drifted = `the clock of agent ${agent} has drifted by ${driftMs.toFixed(0)} ms since the start`;
    yield* exceeding('clock-uncertain', 'drift', driftMs, drifted, agent);
  }
  const waitMs = (input.vuWaitP99Us ?? 0) / 1_000;
  yield* exceeding('vus-exhausted', 'wait', waitMs, `due arrivals waited for a free VU, p99 ${waitMs.toFixed(1)} ms`);
  if (input.bundleFailure !== undefined) yield* exceeding('bundle-incomplete', 'failed', 1, input.bundleFailure);
  yield* exceeding('series-capped', 'capped', input.samplesUnderOther, `${input.samplesUnderOther} samples stand under (other)`);
  for (const { agent, version } of input.versionSkew) {
    yield* exceeding('version-skew', 'agents', 1, `agent ${agent} runs version ${version}`, agent);
  }
  const restarts = input.coordinatorRestarts;
  yield* exceeding(
    'coordinator-restarted',
    'restarts',
    restarts,
    `the coordinator was restarted ${restarts === 1 ? 'once' : `${restarts} times`}`,
  );
}

/** An agent that is this busy still fires in time. */
const COMFORTABLE_CORES = 0.7;

/** How many agents the plan takes at its highest rate, from what an iteration cost here; empty where no rate is planned or nothing was
 *  measured. An agent that ran out of CPU fired fewer iterations in the same time, so its cost is per iteration fired, not planned. */
function moreAgents({ health, ledger, plannedPerSecond, intervalUs }: ValidityInput): string {
  const coreSeconds = health.reduce((sum, { cpuMean, intervals }) => sum + (cpuMean * intervals * (intervalUs ?? 0)) / 1e6, 0);
  if (plannedPerSecond === undefined || ledger.started === 0 || coreSeconds === 0) return '';
  const cost = coreSeconds / ledger.started;
  const cores = cost * plannedPerSecond;
  const wanted = Math.max(health.length + 1, Math.ceil(cores / COMFORTABLE_CORES));
  return (
    `; an iteration cost ${(cost * 1_000).toFixed(2)} ms of CPU, so ${Math.round(plannedPerSecond)}/s take ${cores.toFixed(1)} cores: ` +
    `${wanted} agents like these, ${wanted - health.length} more`
  );
}

function* lagReasons(input: ValidityInput): Generator<ValidityReason> {
  // Percentiles of intervals do not add up to one of the run, but they bound it: a run's p99 is at most the worst interval's, and
  // pacer lag is at most schedule lag, sample by sample. The smaller bound is the exact p99 whenever no arrival waited for a VU.
  const worstUs = Math.max(0, ...input.health.map(({ pacerLagP99WorstUs }) => pacerLagP99WorstUs));
  const boundMs = Math.min(worstUs, input.scheduleLagP99Us ?? 0) / 1_000;
  yield* exceeding('generator-lag', 'runP99', boundMs, `pacer lag p99 was ${boundMs.toFixed(1)} ms over the run`);
  for (const health of input.health) {
    const { agent } = health;
    const late = share(health.lateIntervals, health.intervals);
    const veryLate = share(health.veryLateIntervals, health.intervals);
    yield* exceeding('generator-lag', 'late', late, `agent ${agent} was late in ${late.toFixed(0)} % of its intervals`, agent);
    yield* exceeding(
      'generator-lag',
      'veryLate',
      veryLate,
      `agent ${agent} was very late in ${veryLate.toFixed(0)} % of its intervals`,
      agent,
    );
    const stallMs = Math.max(health.loopDelayMaxUs, health.pacerLagMaxUs) / 1_000;
    const seen = `agent ${agent} stalled for ${stallMs.toFixed(0)} ms${blamed((input.blocks ?? []).filter((block) => block.agent === agent))}`;
    yield* exceeding('generator-lag', 'stall', stallMs, seen, agent);
  }
}

/** Places that are named; more of them have one cause. */
const BLAMED_MAX = 3;

/** What is known of the stalls of one agent, the longest first. */
function blamed(blocks: readonly LoopBlockSeen[]): string {
  if (blocks.length === 0) return '';
  const worst = [...blocks].sort((a, b) => b.longestMs - a.longestMs).slice(0, BLAMED_MAX);
  const places = worst.map(
    ({ where, times, longestMs }) => `${where}: ${longestMs.toFixed(0)} ms${times > 1 ? ` and ${times - 1} times more` : ''}`,
  );
  return `; scenario code blocked its loop: ${places.join('; ')}`;
}

/** The reason `code`, when `observed` is above one of the limits. */
function* exceeding<Code extends ReasonCode>(
  code: Code,
  limitName: keyof (typeof VALIDITY_RULES)[Code]['limits'],
  observed: number,
  seen: string,
  agent?: string,
): Generator<ValidityReason> {
  const limits: Readonly<Record<PropertyKey, ValidityLimit | undefined>> = VALIDITY_RULES[code].limits;
  const limit = limits[limitName];
  if (limit === undefined) return;
  const reason = (grade: 'degraded' | 'invalid', above: number): ValidityReason => ({
    code,
    grade,
    detail: above === 0 ? seen : `${seen}; above ${above} ${limit.unit} a run is ${grade}`,
    ...(agent === undefined ? {} : { agent }),
  });
  // A number that is not one speaks against the run too: `>` alone would let it pass.
  const isAbove = (above: number | undefined): above is number => above !== undefined && !(observed <= above);
  if (isAbove(limit.invalidAbove)) yield reason('invalid', limit.invalidAbove);
  else if (isAbove(limit.degradedAbove)) yield reason('degraded', limit.degradedAbove);
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : (part / whole) * 100;
}
