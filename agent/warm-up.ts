import { warmupEndUs, type Plan } from '../shared/plan/index.ts';
import { WARM_UP, type RequestError, type SpanError, type Tags } from '../shared/stats/index.ts';
import type { Exchange } from './protocol/index.ts';
import { Recorder, ScenarioRecorder, StepRecorder, type ScenarioSamples, type ScenarioTags, type SpanMetric } from './recorder.ts';

/** The recorder of a plan. A plan without a warm-up gets the plain one, so that a sample costs nothing more than it did. */
export function createRecorder(plan: Plan): { readonly recorder: Recorder; readonly begin: (zeroUs: number) => void } {
  const recorder = plan.scenarios.some(({ warmupUs }) => warmupUs !== undefined) ? new WarmingRecorder(plan) : undefined;
  return { recorder: recorder ?? new Recorder(), begin: (zeroUs) => recorder?.begin(zeroUs) };
}

/** When a scenario's warm-up ends, on the agent's clock; known when the run's zero is. Until then everything is warm-up. */
interface WarmUp {
  readonly afterZeroUs: number;
  endUs: number;
}

/** Records apart, under the tag `phase: warmup`, what began before the end of its scenario's warm-up. What counts is the instant that
 *  response times count from: of arrivals the plan's, so that one that had to wait does not slip into the totals with its wait; of
 *  looping VUs and of later steps, when they were reached. */
class WarmingRecorder extends Recorder {
  private readonly warmUps: ReadonlyMap<string, WarmUp>;

  constructor({ scenarios }: Plan) {
    super();
    const warming = scenarios.filter(({ warmupUs }) => warmupUs !== undefined);
    this.warmUps = new Map(warming.map((scenario) => [scenario.name, { afterZeroUs: warmupEndUs(scenario), endUs: Infinity }]));
  }

  begin(zeroUs: number): void {
    for (const warmUp of this.warmUps.values()) warmUp.endUs = zeroUs + warmUp.afterZeroUs;
  }

  override scenario(scenario: string): ScenarioSamples {
    const warmUp = this.warmUps.get(scenario);
    return warmUp === undefined ? super.scenario(scenario) : new WarmingScenario(this, { scenario }, warmUp);
  }

  override step(scenario: string, name: string, method: string, more: Tags = {}): StepRecorder {
    const warmUp = this.warmUps.get(scenario);
    return warmUp === undefined ? super.step(scenario, name, method, more) : new WarmingStep(this, scenario, name, method, more, warmUp);
  }

  override readonly phaseOf = (scenario: string, startUs: number): Tags | undefined =>
    startUs < (this.warmUps.get(scenario)?.endUs ?? 0) ? WARM_UP : undefined;
}

class WarmingStep extends StepRecorder {
  private readonly warm: StepRecorder;
  private readonly warmUp: WarmUp;

  constructor(recorder: Recorder, scenario: string, name: string, method: string, more: Tags, warmUp: WarmUp) {
    super(recorder, scenario, name, method, more);
    // A phase of the step's own stays: it is in no total either way.
    this.warm = new StepRecorder(recorder, scenario, name, method, { ...WARM_UP, ...more });
    this.warmUp = warmUp;
  }

  override request(exchange: Exchange, intendedUs: number, error: RequestError | undefined): void {
    if (intendedUs < this.warmUp.endUs) this.warm.request(exchange, intendedUs, error);
    else super.request(exchange, intendedUs, error);
  }
}

class WarmingScenario implements ScenarioSamples {
  private readonly own: ScenarioRecorder;
  private readonly warm: ScenarioRecorder;
  private readonly warmUp: WarmUp;

  constructor(recorder: Recorder, tags: ScenarioTags, warmUp: WarmUp) {
    this.own = new ScenarioRecorder(recorder, tags);
    this.warm = new ScenarioRecorder(recorder, { ...tags, ...WARM_UP }, this.own.vus);
    this.warmUp = warmUp;
  }

  iterationStarted(lagUs: number, activeVus: number, startUs: number): void {
    this.of(startUs).iterationStarted(lagUs, activeVus);
  }

  iterationEnded(durationUs: number, isCompleted: boolean, activeVus: number, startUs: number): void {
    this.of(startUs).iterationEnded(durationUs, isCompleted, activeVus);
  }

  iterationsDropped(count: number, startUs: number): void {
    this.of(startUs).iterationsDropped(count);
  }

  bytes(sent: number, received: number, startUs: number): void {
    this.of(startUs).bytes(sent, received);
  }

  check(name: string, holds: boolean, startUs: number): void {
    this.of(startUs).check(name, holds);
  }

  /** It finds its phase itself. */
  span(metric: SpanMetric, name: string, fromUs: number, untilUs: number, error: SpanError | undefined): void {
    this.own.span(metric, name, fromUs, untilUs, error);
  }

  private of(startUs: number): ScenarioRecorder {
    return startUs < this.warmUp.endUs ? this.warm : this.own;
  }
}
