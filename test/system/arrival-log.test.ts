import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSchedule, presences, type PlannedScenario, type RampingVusLoad } from '../../shared/plan/index.ts';
import { Cluster, type ClusterRun } from '../support/cluster.ts';
import { exponentialCdf, ksDistance, ksLimit } from '../support/kolmogorov-smirnov.ts';
import { withNoise, type MachineNoise } from '../support/machine-noise.ts';
import { atAQuietMoment, type Attempt } from '../support/quiet-moment.ts';
import { TargetProcess } from '../support/target-process.ts';
import type { Arrival, TargetLog } from '../support/target.ts';

/** How far the 99th percentile of arrivals may be from their instants: the agent's lateness, the way to the target, and the clocks. */
const OFF_P99_MAX_MS = 1.5;
/** Evenly spaced gaps are further than this from exponential ones, whatever is allowed for: 1 − 1/e. */
const KS_MAX = 0.5;
/** What a single first arrival of a VU may be off: it opens its connection. */
const FIRST_OFF_MAX_MS = 10;
/** Between the plan and the log a helper thread, an agent and the target wait for a core, and the target once more for its answer before.
 *  Each of them may be as late as a thread that only wakes: on a quiet machine some 0.1 ms at p99. */
const WAITS = 4;
const NOISE_MAX_MS = WAITS * 0.5;
const LATENCY_MS = 20;
const RATE = 150;

const vuPath = '${vu}/${iteration}';
const stages = [
  { duration: '1500ms', target: RATE },
  { duration: '2s', target: RATE },
];
const OPEN = {
  'constant-uniform': { executor: 'constant-arrival-rate', rate: RATE, duration: '3500ms' },
  'constant-poisson': { executor: 'constant-arrival-rate', rate: RATE, duration: '3500ms', arrivals: 'poisson' },
  'ramping-uniform': { executor: 'ramping-arrival-rate', stages },
  'ramping-poisson': { executor: 'ramping-arrival-rate', stages, arrivals: 'poisson' },
} as const;
const CLOSED = {
  'constant-vus': { executor: 'constant-vus', vus: 6, duration: '2s' },
  'ramping-vus': {
    executor: 'ramping-vus',
    startVUs: 0,
    stages: [
      { duration: '1200ms', target: 6 },
      { duration: '1200ms', target: 0 },
    ],
  },
  'per-vu-iterations': { executor: 'per-vu-iterations', vus: 5, iterations: 7 },
  'shared-iterations': { executor: 'shared-iterations', vus: 5, iterations: 41 },
} as const;

describe.each([1, 3])('the target’s log of what %i agents sent is the plan', (agents) => {
  let cluster: Cluster;
  let target: TargetProcess;

  beforeAll(async () => {
    target = await TargetProcess.start({ behaviours: { '*': {} } });
    cluster = await Cluster.start(agents);
    await cluster.warmUp(target.url);
  });
  afterAll(async () => {
    await cluster.stop();
    await target.stop();
  });

  test('every arrival of the open executors comes once, at its instant, and poisson gaps are exponential', async () => {
    await target.behave('*', {});
    await atAQuietMoment(NOISE_MAX_MS, async () => {
      const { run, log, zeroUs, noise } = await logged(OPEN, (name) => `/${name}/$\{iteration}`);
      const judges = run.plan.scenarios.map((scenario) => {
        const schedule = createSchedule(scenario, run.plan.seed);
        const arrivals = arrivalsOf(log, scenario.name);
        const indices = arrivals.map(({ numbers }) => numbers[0] ?? NaN);
        expect(
          indices.toSorted((a, b) => a - b),
          scenario.name,
        ).toEqual(Array.from({ length: schedule.count }, (_, n) => n));
        const offMs = arrivals.map(({ atUs, numbers }) => Math.abs(atUs - zeroUs - schedule.instantUs(numbers[0] ?? NaN)) / 1_000);
        return (slackMs: number): void => {
          // Whatever the machine did: that spoils moments.
          expect(percentile(offMs, 50), `${scenario.name}: median of the distance from the plan, ms`).toBeLessThan(OFF_P99_MAX_MS);
          expect(percentile(offMs, 99), `${scenario.name}: p99 of the distance from the plan, ms`).toBeLessThan(OFF_P99_MAX_MS + slackMs);
          if (!scenario.name.endsWith('poisson')) return;
          const gaps = gapsInArrivals(scenario, arrivals, zeroUs);
          const limit = Math.min(KS_MAX, ksLimit(gaps.length) + (slackMs * RATE) / 1_000);
          expect(ksDistance(gaps, exponentialCdf), `${scenario.name}: Kolmogorov and Smirnov's distance`).toBeLessThan(limit);
        };
      });
      return attempt(noise, judges);
    });
  });

  test('VUs of the closed executors are never more than planned, and begin exactly what is theirs', async () => {
    await target.behave('*', { latency: { kind: 'constant', us: LATENCY_MS * 1_000 } });
    await atAQuietMoment(NOISE_MAX_MS, async () => {
      const { run, log, zeroUs, noise } = await logged(CLOSED, (name) => `/${name}/${vuPath}`);
      const of = (name: keyof typeof CLOSED): LoggedArrival[] => arrivalsOf(log, name);
      for (const name of Object.keys(CLOSED) as (keyof typeof CLOSED)[]) {
        const arrivals = of(name);
        const done = run.summary.series.find(({ metric, tags }) => metric === 'iterations' && tags['scenario'] === name);
        expect(done, name).toMatchObject({ count: arrivals.length });
        expect(new Set(arrivals.map(({ numbers }) => numbers[1])).size, `${name}: every index once`).toBe(arrivals.length);
      }
      expect(mostAtOnce(of('constant-vus'))).toBe(6);
      expect(byVu(of('constant-vus')).every((own) => own.every(({ numbers: [vu, index] }, k) => index === k * 6 + (vu ?? NaN)))).toBe(true);
      expect(byVu(of('per-vu-iterations')).map((own) => own.length)).toEqual([7, 7, 7, 7, 7]);
      expect(mostAtOnce(of('per-vu-iterations'))).toBeLessThanOrEqual(5);
      expect(of('shared-iterations').map(({ numbers }) => numbers[1] ?? NaN).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 41 }, (_, n) => n)); // prettier-ignore
      expect(mostAtOnce(of('shared-iterations'))).toBeLessThanOrEqual(5);
      return attempt(noise, [followsItsRamp(run, of('ramping-vus'), zeroUs)]);
    });
  });

  async function logged(
    scenarios: Readonly<Record<string, object>>,
    path: (name: string) => string,
  ): Promise<{ run: ClusterRun; log: TargetLog; zeroUs: number; noise: MachineNoise }> {
    await target.reset();
    const flows = Object.entries(scenarios).map(([name, load]) => [name, { ...load, flow: [{ get: path(name), name }] }]);
    const { result: run, noise } = await withNoise(() =>
      cluster.run({ name: 'arrivals', target: target.url, scenarios: Object.fromEntries(flows) as object }, agents),
    );
    const log = await target.log();
    expect(run.summary.ledger).toMatchObject({
      dropped: 0,
      undelivered: 0,
      unknown: 0,
      interrupted: 0,
      started: log.total,
      planned: log.total,
    });
    return { run, log, zeroUs: zeroOf(run), noise };
  }
});

interface LoggedArrival extends Arrival {
  /** What the path says after the scenario's name. */
  readonly numbers: readonly number[];
}

/** In the order in which they came. */
function arrivalsOf({ arrivals }: TargetLog, scenario: string): LoggedArrival[] {
  return arrivals
    .filter(({ path }) => path.startsWith(`/${scenario}/`))
    .map((arrival) => ({ ...arrival, numbers: arrival.path.split('/').slice(2).map(Number) }));
}

function attempt(noise: MachineNoise, judges: readonly ((slackMs: number) => void)[]): Attempt {
  return {
    noiseMs: WAITS * noise.p99Ms,
    allowanceMs: noise.sumP99Ms(WAITS),
    judge: (slackMs) => {
      for (const judge of judges) judge(slackMs);
    },
  };
}

/** The run's zero: on the coordinator's clock, which the target on the same machine shares. */
function zeroOf({ bundle }: ClusterRun): number {
  const events = bundle.manifest.events as readonly { readonly kind: string; readonly detail: Readonly<Record<string, unknown>> }[];
  const zeroUs = events.find(({ kind }) => kind === 'started')?.detail['zeroUs'];
  if (typeof zeroUs !== 'number') throw new Error('the bundle does not say when the run began');
  return zeroUs;
}

/** Gaps between arrivals as the target saw them, in arrivals that the rate lets expect in that time. */
function gapsInArrivals({ load }: PlannedScenario, arrivals: readonly LoggedArrival[], zeroUs: number): number[] {
  const rampS = load.kind === 'ramping-arrival-rate' ? 1.5 : 0;
  const expected = arrivals
    .map(({ atUs }) => (atUs - zeroUs) / 1e6)
    .toSorted((a, b) => a - b)
    .map((s) => (s < rampS ? (RATE / rampS / 2) * Math.max(0, s) ** 2 : (RATE * rampS) / 2 + RATE * (s - rampS)));
  return expected.slice(1).map((value, i) => value - (expected[i] ?? NaN));
}

/** Every VU of the ramp comes when the line passes it, begins again at once, and begins nothing after it went. */
function followsItsRamp({ plan }: ClusterRun, arrivals: readonly LoggedArrival[], zeroUs: number): (slackMs: number) => void {
  const load = plan.scenarios.find(({ name }) => name === 'ramping-vus')?.load as RampingVusLoad;
  return (slackMs) => {
    expect(mostAtOnce(arrivals)).toBeLessThanOrEqual(6);
    const toleranceMs = FIRST_OFF_MAX_MS + slackMs;
    byVu(arrivals).forEach((own, vu) => {
      const [presence, ...more] = presences(load, vu);
      expect(more).toEqual([]);
      const fromMs = (presence?.fromUs ?? NaN) / 1_000;
      const toMs = (presence?.toUs ?? NaN) / 1_000;
      const atMs = own.map(({ atUs }) => (atUs - zeroUs) / 1_000);
      expect(Math.abs((atMs[0] ?? NaN) - fromMs), `VU ${vu} comes`).toBeLessThan(toleranceMs);
      expect(atMs.at(-1) ?? NaN, `VU ${vu} begins nothing after it went`).toBeLessThan(toMs + toleranceMs);
      expect(toMs - (atMs.at(-1) ?? NaN), `VU ${vu} went on until then`).toBeLessThan(LATENCY_MS + toleranceMs);
    });
    expect(byVu(arrivals).length).toBe(6);
  };
}

/** Arrivals of VU 0, 1, 2, …, each in order. */
function byVu(arrivals: readonly LoggedArrival[]): LoggedArrival[][] {
  const vus: LoggedArrival[][] = [];
  for (const arrival of arrivals) (vus[arrival.numbers[0] ?? NaN] ??= []).push(arrival);
  return vus;
}

/** Requests that the target had at one time: arrived, not yet answered. */
function mostAtOnce(arrivals: readonly Arrival[]): number {
  const changes = arrivals
    .flatMap(({ atUs, serviceUs }) => [[atUs, 1] as const, [atUs + (serviceUs ?? Infinity), -1] as const])
    .sort(([a, up], [b, down]) => a - b || up - down);
  let now = 0;
  return changes.reduce((most, [, change]) => Math.max(most, (now += change)), 0);
}

function percentile(values: readonly number[], percent: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil((percent / 100) * values.length) - 1] ?? NaN;
}
