import { AppError, ITERATIONS_MAX, VUS_MAX } from '../shared/base/index.ts';
import {
  amendScenario,
  endUs,
  isOpen,
  pauses,
  ratePerSecondAt,
  scenarioEpochs,
  type Amendment,
  type OpenLoad,
  type Plan,
  type PlannedScenario,
} from '../shared/plan/index.ts';
import type { EpochLog } from './epoch-log.ts';

/** Another rate or another number of VUs for one scenario. */
export interface ScaleRequest {
  /** May be left out where only one scenario of the run can be scaled so. */
  readonly scenario?: string | undefined;
  readonly ratePerSecond?: number | undefined;
  readonly vus?: number | undefined;
  /** With a rate: VUs of the whole cluster; in proportion to the rate by default, and never fewer than there are. */
  readonly maxVus?: number | undefined;
}

/** What became of a request. */
export interface LiveChange {
  /** Run-relative instant at which it takes force on all agents, microseconds. */
  readonly atUs: number;
  /** For people. */
  readonly change: string;
}

export interface LiveControlContext {
  readonly plan: Plan;
  readonly epochs: Pick<EpochLog, 'all' | 'append'>;
  /** Run-relative instant at which a change that is decided now may take force. */
  readonly soonestUs: () => number;
  /** Why an agent that makes load cannot be told of a change now; `undefined` while all can. */
  readonly unreachable: () => string | undefined;
  /** Nothing is planned at or after this run-relative instant, because the run is stopped or over; `Infinity` while it goes on. */
  readonly overFromUs: () => number;
  readonly tell: (kind: 'scaled' | 'paused' | 'resumed', detail: LiveChange & Readonly<Record<string, unknown>>) => void;
}

/** Past this many epochs a run takes no further changes: every agent holds them all. */
const EPOCHS_MAX = 1_000;

/** Changes of the load in mid-run, each by an epoch that takes force at one instant on all agents. Every method throws
 *  `AppError('USAGE')`, which says why, where the change makes no sense. */
export class LiveControl {
  private readonly context: LiveControlContext;

  constructor(context: LiveControlContext) {
    this.context = context;
  }

  /** From that instant to the scenario's end; what the plan had there, ramps and stages too, is replaced. */
  scale(request: ScaleRequest): LiveChange {
    const { ratePerSecond, vus } = request;
    if ((ratePerSecond === undefined) === (vus === undefined)) throw refused('expected either --rate or --vus');
    const atUs = this.soonestUs();
    const amendment = vus === undefined ? this.newRate(request, ratePerSecond ?? 0, atUs) : this.newVus(request, vus, atUs);
    const change =
      amendment.kind === 'rate'
        ? `${amendment.scenario}: ${amendment.ratePerSecond}/s with up to ${amendment.maxVus} VUs`
        : `${amendment.scenario}: ${amendment.vus} VUs`;
    return this.make('scaled', atUs, change, amendment);
  }

  /** Nothing more is planned; time goes on, and iterations under way end. */
  pause(): LiveChange {
    if (this.isPaused) throw refused('the run is paused already');
    return this.make('paused', this.soonestUs(), 'paused', { kind: 'pause' });
  }

  /** What the plan has from that instant on is planned again. */
  resume(): LiveChange {
    if (!this.isPaused) throw refused('the run is not paused');
    return this.make('resumed', this.soonestUs(), 'resumed', { kind: 'resume' });
  }

  private make(kind: 'scaled' | 'paused' | 'resumed', atUs: number, change: string, amendment: Amendment): LiveChange {
    const { epochs, tell } = this.context;
    const { fromUs, number } = epochs.append(atUs, { amendments: [amendment] });
    tell(kind, { atUs: fromUs, change, epoch: number, amendment });
    return { atUs: fromUs, change };
  }

  private newRate({ scenario: name, maxVus }: ScaleRequest, ratePerSecond: number, atUs: number) {
    const { epochs } = this.context;
    const found = this.find(name, '--rate', atUs, 'arrival rates', ({ load }) => isOpen(load)) as PlannedScenario & {
      readonly load: OpenLoad;
    };
    if (!(ratePerSecond > 0) || ratePerSecond * endUs(found) > ITERATIONS_MAX * 1_000_000)
      throw refused(`--rate ${String(ratePerSecond)}: expected a rate above zero that makes at most ${ITERATIONS_MAX} iterations`);
    const vusNow = scenarioEpochs(found, epochs.all).at(-1)?.vus ?? found.load.maxVus;
    const rateNow = ratePerSecondAt(amendScenario(found, epochs.all), atUs) || ratePerSecondAt(found, atUs);
    const inProportion = rateNow === 0 ? vusNow : Math.min(VUS_MAX, Math.ceil((vusNow * ratePerSecond) / rateNow));
    const vus = maxVus ?? Math.max(vusNow, inProportion);
    if (!isVus(vus)) throw refused(`--max-vus ${String(vus)}: expected a whole number from 1 to ${VUS_MAX}`);
    return { kind: 'rate' as const, scenario: found.name, ratePerSecond, maxVus: vus };
  }

  private newVus({ scenario: name, maxVus }: ScaleRequest, vus: number, atUs: number) {
    if (maxVus !== undefined) throw refused('--max-vus belongs to --rate');
    if (!isVus(vus)) throw refused(`--vus ${String(vus)}: expected a whole number from 1 to ${VUS_MAX}`);
    const hasVus = ({ load }: PlannedScenario): boolean => load.kind === 'constant-vus' || load.kind === 'ramping-vus';
    return { kind: 'vus' as const, scenario: this.find(name, '--vus', atUs, 'VUs that loop', hasVus).name, vus };
  }

  private find(
    name: string | undefined,
    flag: string,
    atUs: number,
    what: string,
    canBe: (scenario: PlannedScenario) => boolean,
  ): PlannedScenario {
    const { scenarios } = this.context.plan;
    const names = scenarios.filter(canBe).map((scenario) => scenario.name);
    const [first, ...more] = names;
    if (name === undefined && first === undefined) throw refused(`${flag} is for scenarios with ${what}, and this run has none`);
    if (name === undefined && more.length > 0) throw refused(`which scenario? --scenario ${names.join(' or ')}`);
    const found = scenarios.find((scenario) => scenario.name === (name ?? first));
    if (found === undefined)
      throw refused(`no scenario ${name ?? ''} in this run: expected ${scenarios.map((scenario) => scenario.name).join(' or ')}`);
    if (!canBe(found)) throw refused(`${flag} is for scenarios with ${what}; ${found.name} is ${found.load.kind}`);
    if (atUs >= endUs(found)) throw refused(`${found.name} ends before the change could take force`);
    return found;
  }

  private soonestUs(): number {
    const { plan, epochs, soonestUs, overFromUs, unreachable } = this.context;
    const atUs = Math.max(soonestUs(), epochs.all.at(-1)?.fromUs ?? 0);
    if (epochs.all.length >= EPOCHS_MAX) throw refused(`the run has been changed ${EPOCHS_MAX} times, which is the limit`);
    if (atUs >= Math.min(overFromUs(), Math.max(...plan.scenarios.map(endUs))))
      throw refused('the load is over, or will be before the change could take force');
    const missing = unreachable();
    if (missing !== undefined) throw refused(`${missing}: all agents change at one instant, so try again when it is back or lost`);
    return atUs;
  }

  private get isPaused(): boolean {
    return pauses(this.context.epochs.all).at(-1)?.toUs === Infinity;
  }
}

function isVus(vus: number): boolean {
  return Number.isInteger(vus) && vus >= 1 && vus <= VUS_MAX;
}

function refused(why: string): AppError {
  return new AppError('USAGE', why);
}
