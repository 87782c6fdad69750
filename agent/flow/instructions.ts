import type { ReadyCondition } from './conditions.ts';
import type { SpanRecorder } from '../span-recorder.ts';
import type { ReadyRequest } from './steps.ts';
import type { ReadyTemplate, Values } from './template.ts';

/** What a flow comes to: one list that every VU of a scenario walks, with jumps in place of nesting. What one VU needs to know of where it is
 *  stands in its registers, so that a step costs no call, no promise and no memory of its own. Targets are positions in the list. */
export type Instruction =
  | { readonly op: 'request'; readonly request: ReadyRequest }
  | { readonly op: 'parallel'; readonly requests: readonly ReadyRequest[] }
  | { readonly op: 'think'; readonly minUs: number; readonly maxUs: number }
  | { readonly op: 'jump'; to: number }
  /** Goes on when the condition holds, else jumps. */
  | { readonly op: 'unless'; readonly condition: ReadyCondition; to: number }
  /** Jumps to the branch whose span of the total weight the draw falls into; `upTo` is cumulative. */
  | { readonly op: 'choose'; readonly seed: number; readonly upTo: readonly number[]; readonly to: number[] }
  /** Sets the turns that are left. */
  | { readonly op: 'turns'; readonly register: number; readonly turns: number | ReadyTemplate }
  /** Takes one turn; without any left it jumps, or fails the iteration with `failure`. */
  | { readonly op: 'turn'; readonly register: number; readonly failure: string | undefined; to: number }
  | {
      readonly op: 'list';
      readonly list: number;
      readonly register: number;
      readonly name: string;
      readonly read: (values: Values) => unknown;
    }
  /** Puts the next member into its slot, or jumps when there is none. */
  | { readonly op: 'member'; readonly list: number; readonly register: number; readonly slot: number; to: number }
  /** Pacing: the turn began now, and lasts at least so long. */
  | { readonly op: 'mark'; readonly register: number }
  | { readonly op: 'hold'; readonly register: number; readonly us: number }
  | { readonly op: 'enter'; readonly span: number }
  | { readonly op: 'leave'; readonly span: number }
  /** Registers of a retry: tries left, failures before the try, the next wait. */
  | { readonly op: 'try'; readonly register: number; readonly times: number; readonly waitUs: number }
  /** Jumps when something has failed since. */
  | { readonly op: 'if-failed'; readonly register: number; to: number }
  | { readonly op: 'again'; readonly register: number; readonly backoff: number; readonly to: number }
  /** Registers of a poll: its deadline, failures before it. */
  | { readonly op: 'poll'; readonly register: number; readonly limitUs: number }
  /** Waits and asks again; past the deadline it fails and goes on. */
  | { readonly op: 'ask-again'; readonly register: number; readonly everyUs: number; readonly to: number }
  /** What failed since does not count: the poll has come to its end. */
  | { readonly op: 'forgive'; readonly register: number; to: number }
  | { readonly op: 'end' };

/** A flow ready to be walked by any number of VUs. */
export interface Program {
  readonly instructions: readonly Instruction[];
  /** Where an iteration goes that cannot go on: the pacing it still has to keep, or the end. */
  readonly epilogueAt: number;
  /** Where clean-up begins; -1 without any. */
  readonly cleanUpAt: number;
  readonly cleanUpLimitUs: number;
  readonly registers: number;
  readonly lists: number;
  /** By span: where its duration is recorded. */
  readonly spans: readonly SpanRecorder[];
}
