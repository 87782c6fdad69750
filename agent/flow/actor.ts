import type { Clock } from '../../shared/base/index.ts';
import type { ScenarioSamples } from '../recorder.ts';

/** One virtual user: it runs one iteration at a time, on connections of its own. */
export interface Actor {
  /** Global number of the VU, 0-based. */
  readonly vu: number;
  /** How long the clean-up (`finally`) of the iteration that ended last took, microseconds: it held the VU, but is no part of the iteration's own duration. */
  readonly cleanUpUs: number;
  /** Starts iteration `index`, wanted at `intendedUs` (agent clock). `Surroundings.ended` is called exactly once for it, never from within `start`. */
  start(index: number, intendedUs: number, nowUs: number): void;
  /** Ends the iteration under way at once: a request in flight is recorded as `aborted`. `ended` is called before this returns, or, where
   *  the flow has clean-up, when that is done or has used up its limit. */
  interrupt(): void;
  /** Closes the VU's connections. Call it when no iteration is under way. */
  close(): void;
}

/** What an actor needs of the agent around it; the same object for every VU of a scenario. */
export interface Surroundings {
  readonly clock: Clock;
  readonly recorder: ScenarioSamples;
  /** Called before anything that ended at `endedUs` is recorded: an interval that is over is sealed first. */
  beforeSample(endedUs: number): void;
  /** Called when the VU has gone on after a response: arrivals that became due meanwhile are fired. */
  afterResponse(nowUs: number): void;
  /** The iteration is over: completed, or interrupted from outside. */
  ended(actor: Actor, isCompleted: boolean, endedUs: number): void;
}
