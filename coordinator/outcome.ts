import { EXIT_CODES, type ExitCode } from '../shared/base/index.ts';
import type { Summary } from '../shared/report/index.ts';

/** How a run ended. */
export interface Outcome {
  readonly exitCode: ExitCode;
  /** `undefined` when no load ran. */
  readonly summary: Summary | undefined;
  /** Why the run did not pass, for people; empty when it did. */
  readonly message: string;
}

/** What ended a run before its plan did. */
export type StopCause =
  | { readonly kind: 'person'; readonly reason: string }
  | { readonly kind: 'threshold'; readonly reason: string }
  | { readonly kind: 'agent-lost'; readonly reason: string };

/** The exit code of a run that made load. Where several things are wrong the first of these tells most: somebody stopped it, agents
 *  were lost where that must not be, the scenario's own code is broken, a threshold failed, the result is invalid. A failed threshold
 *  comes before an invalid result: a measurement with holes can no longer pass, but what failed in it has failed. */
export function judge(summary: Summary, stop: StopCause | undefined, scriptError: string | undefined, teardownFailure?: string): Outcome {
  const failed = summary.thresholds.filter(({ verdict }) => verdict !== 'pass');
  const outcome = (name: keyof typeof EXIT_CODES, message: string): Outcome => ({ exitCode: EXIT_CODES[name].code, summary, message });
  if (stop?.kind === 'person') return outcome('stopped', `stopped: ${stop.reason}`);
  if (stop?.kind === 'agent-lost') return outcome('agentsLost', stop.reason);
  if (scriptError !== undefined) return outcome('scriptThrew', `scenario code threw: ${scriptError}`);
  if (teardownFailure !== undefined) return outcome('scriptThrew', `the teardown failed: ${teardownFailure}`);
  if (failed.length > 0) {
    const names = failed.map(({ metric, expression, verdict }) => `${metric}: ${expression} (${verdict})`).join(', ');
    const early = stop?.kind === 'threshold' ? `; the run was ended early: ${stop.reason}` : '';
    return outcome('thresholdsFailed', `thresholds failed: ${names}${early}`);
  }
  if (summary.validity.grade === 'invalid') {
    const reasons = summary.validity.reasons.filter(({ grade }) => grade === 'invalid').map(({ code, detail }) => `${code} (${detail})`);
    return outcome('invalidResult', `the result is invalid: ${reasons.join(', ')}`);
  }
  return outcome('passed', '');
}
