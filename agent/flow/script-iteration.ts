import type { Clock } from '../../shared/base/index.ts';
import { Interrupted } from './interrupted.ts';
import type { FlowSamples } from '../recorder.ts';
import { running } from './running.ts';
import type { Phase } from './script-context.ts';

/** One iteration of a function while it runs. What a script keeps of it after its end can do nothing any more. */
export class ScriptIteration {
  readonly index: number;
  readonly phase: Phase;
  /** Where it counts what it does beside its requests. */
  readonly samples: FlowSamples;
  private readonly scenario: string;
  private after = '';
  isOver = false;
  /** Whether it ever waited for something that takes a turn of the loop. */
  hadTurn = false;
  /** When the first request was wanted; 0 once there was one, or a pause: later ones are wanted when the script asks for them. */
  private firstWantedUs: number;
  /** When the request that ended last was wanted, or the iteration while there is none: what a check is about. */
  checkedUs: number;
  /** Requests under way, awaited by the script or not: the iteration is over when they are. */
  private underWay = 0;
  private allAnswered: (() => void) | undefined;
  private pauses: Set<() => void> | undefined;

  constructor(scenario: string, index: number, intendedUs: number, samples: FlowSamples, phase: Phase = 'flow') {
    this.samples = samples;
    this.phase = phase;
    this.scenario = scenario;
    this.index = index;
    this.firstWantedUs = intendedUs;
    this.checkedUs = intendedUs;
  }

  /** Ends it: pauses wake, and everything that the script does from here on throws `Interrupted`. */
  end(): void {
    this.isOver = true;
    if (this.pauses !== undefined) for (const wake of [...this.pauses]) wake();
  }

  mustGoOn(): void {
    if (this.isOver) throw new Interrupted();
  }

  /** The script goes on from here: what it does until it waits again is its own. `after`: the request whose answer it is given. */
  resume(after?: string): void {
    if (after !== undefined) this.after = after;
    running.scenario = this.scenario;
    running.after = this.after;
  }

  /** When a request that the script asks for now was wanted. */
  takeWantedUs(clock: Clock): number {
    const wantedUs = this.firstWantedUs === 0 ? clock.nowUs() : this.firstWantedUs;
    this.firstWantedUs = 0;
    return wantedUs;
  }

  /** The iteration lasts until all its requests have ended, also those that the script does not wait for. */
  requestBegan(): void {
    this.underWay++;
  }

  /** `wantedUs`: when the request was wanted. */
  requestEnded(wantedUs: number): void {
    this.hadTurn = true;
    this.checkedUs = wantedUs;
    if (--this.underWay === 0) this.allAnswered?.();
  }

  /** Whether a request of it is under way. */
  get isWaiting(): boolean {
    return this.underWay > 0;
  }

  async answered(): Promise<void> {
    while (this.underWay > 0) await new Promise<void>((resolve) => (this.allAnswered = resolve));
  }

  async pause(pauseMs: number): Promise<void> {
    this.mustGoOn();
    const pauses = (this.pauses ??= new Set());
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        pauses.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, pauseMs);
      pauses.add(wake);
    });
    this.mustGoOn();
    this.hadTurn = true;
    // What comes after a pause was wanted when the pause was over, as in a flow of steps.
    this.firstWantedUs = 0;
    this.resume();
  }
}

/** A promise that a script may leave alone: an interruption is no error that somebody would have to look at. */
export function mayBeLeft<T>(promise: Promise<T>): Promise<T> {
  promise.catch((thrown: unknown) => {
    if (!(thrown instanceof Interrupted)) throw thrown;
  });
  return promise;
}
