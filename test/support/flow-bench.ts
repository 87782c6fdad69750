import { readyFlows } from '../../agent/flow/ready-flows.ts';
import type { Actor } from '../../agent/flow/actor.ts';
import type { ScriptErrors } from '../../agent/flow/script-errors.ts';
import { createHttpContext, type HttpContext } from '../../agent/protocol/index.ts';
import { Recorder, type ScenarioSamples } from '../../agent/recorder.ts';
import { BODY_BYTES_MAX, HEAD_BYTES_MAX, systemClock } from '../../shared/base/index.ts';
import { HTTP_DEFAULTS, type Flow, type Plan, type RequestStep, type Template, type Workload } from '../../shared/plan/index.ts';
import { addEncoded, Histogram, type Tags } from '../../shared/stats/index.ts';
import { openScenario } from './plans.ts';

export interface EndedIteration {
  readonly vu: number;
  readonly isCompleted: boolean;
  readonly endedUs: number;
}

/** One scenario's flow on the real HTTP path, with VUs that a test starts and interrupts itself. */
export class FlowBench {
  /** Every iteration that ended, in order. */
  readonly ended: EndedIteration[] = [];
  /** What happened, in order: `sealed until` comes before anything is recorded. */
  readonly beforeSamples: number[] = [];
  readonly scriptErrors: ScriptErrors;
  private readonly recorder: Recorder;
  private readonly scenario: ScenarioSamples;
  private readonly http: HttpContext;
  private readonly create: (vu: number) => Actor;
  private readonly actors: Actor[] = [];
  private waiters: (() => void)[] = [];
  private readonly measuredSeries = new Map<number, MeasuredSeries>();

  static async of(flow: Flow, parts: Partial<Workload> = {}): Promise<FlowBench> {
    const workload: Workload = {
      flows: { browse: flow },
      rows: {},
      script: undefined,
      env: {},
      target: '',
      defaults: { timeoutMs: 10_000, headers: [] },
      http: HTTP_DEFAULTS,
      files: {},
      ...parts,
    };
    const plan: Plan = { name: 'bench', seed: 5, intervalMs: 1_000, scenarios: [openScenario()] };
    const recorder = new Recorder();
    const http = createHttpContext({
      clock: systemClock,
      bodyBytesMax: BODY_BYTES_MAX,
      headBytesMax: HEAD_BYTES_MAX,
      isAllowed: () => true,
      tls: workload.http.tls,
    });
    const flows = await readyFlows(workload, plan, recorder, http);
    return new FlowBench(recorder, http, flows.scriptErrors, (vu, around) => flows.createActor('browse', vu, around));
  }

  private constructor(
    recorder: Recorder,
    http: HttpContext,
    scriptErrors: ScriptErrors,
    create: (vu: number, around: Parameters<Awaited<ReturnType<typeof readyFlows>>['createActor']>[2]) => Actor,
  ) {
    this.recorder = recorder;
    this.http = http;
    this.scriptErrors = scriptErrors;
    this.scenario = recorder.scenario('browse');
    this.create = (vu) =>
      create(vu, {
        clock: systemClock,
        recorder: this.scenario,
        beforeSample: (endedUs) => this.beforeSamples.push(endedUs),
        afterResponse: () => {
          this.afterResponse();
        },
        ended: (actor, isCompleted, endedUs) => {
          this.ended.push({ vu: actor.vu, isCompleted, endedUs });
          const { waiters } = this;
          this.waiters = [];
          for (const wake of waiters) wake();
        },
      });
  }

  /** What the agent does when a response has come: fire other arrivals, end a scenario. Nothing by default. */
  afterResponse: () => void = () => undefined;

  actor(vu = 0): Actor {
    const actor = this.create(vu);
    this.actors.push(actor);
    return actor;
  }

  /** Runs one iteration, wanted `lateMs` ago, to its end. */
  async iterate(actor: Actor, index = 0, lateMs = 0): Promise<EndedIteration> {
    const before = this.ended.length;
    const nowUs = systemClock.nowUs();
    actor.start(index, nowUs - lateMs * 1000, nowUs);
    if (this.ended.length !== before) throw new Error('an iteration ended within its own start');
    await this.untilEnded(before + 1);
    return this.ended[before]!;
  }

  async untilEnded(count: number): Promise<void> {
    while (this.ended.length < count) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  /** Everything measured so far under `metric`. */
  measured(metric: string): MeasuredSeries[] {
    const { defines, trends, counters, rates } = this.recorder.seal();
    for (const { number, metric: name, tags } of defines) {
      this.measuredSeries.set(number, { metric: name, tags, histogram: new Histogram(), count: 0, passes: 0, fails: 0 });
    }
    for (const slice of trends) {
      const { histogram } = this.series(slice.series);
      addEncoded(slice.histogram, histogram);
      histogram.addTotals(slice);
    }
    for (const { series, count } of counters) this.series(series).count += count;
    for (const { series, passes, fails } of rates) {
      this.series(series).passes += passes;
      this.series(series).fails += fails;
    }
    return [...this.measuredSeries.values()].filter((one) => one.metric === metric);
  }

  /** Requests by name, status and error. */
  get requests(): { readonly name: string; readonly status: string; readonly error: string | undefined; readonly count: number }[] {
    return this.measured('http_reqs').map(({ tags, count }) => ({
      name: tags['name'] ?? '',
      status: tags['status'] ?? '',
      error: tags['error'],
      count,
    }));
  }

  /** Checks by name. */
  get checks(): Record<string, { readonly passes: number; readonly fails: number }> {
    return Object.fromEntries(this.measured('checks').map(({ tags, passes, fails }) => [tags['check'] ?? '', { passes, fails }]));
  }

  get openSockets(): number {
    return this.http.openSockets;
  }

  async close(): Promise<void> {
    for (const actor of this.actors) actor.close();
    await this.http.close();
  }

  private series(number: number): MeasuredSeries {
    const known = this.measuredSeries.get(number);
    if (known === undefined) throw new Error(`series ${number} was never defined`);
    return known;
  }
}

interface MeasuredSeries {
  readonly metric: string;
  readonly tags: Tags;
  readonly histogram: Histogram;
  count: number;
  passes: number;
  fails: number;
}

/** A GET of `url` with nothing else to it but for `parts`. */
export function requestStep(name: string, url: string | Template, parts: Partial<RequestStep> = {}): RequestStep {
  return {
    kind: 'request',
    name,
    method: 'GET',
    url: typeof url === 'string' ? [url] : url,
    headers: [],
    body: undefined,
    upload: undefined,
    auth: undefined,
    redirects: 10,
    timeoutMs: 10_000,
    checks: [],
    captures: [],
    ...parts,
  };
}
