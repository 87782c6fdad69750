import { requestsOf, type Flow, type Step } from '../plan/index.ts';

/** How long one iteration may hold its VU, microseconds: all its pauses and the longest timeout of one request, or its pacing. */
export function iterationUsOf(flow: Flow, timeoutMs: number): number {
  if (flow.kind === 'script') return timeoutMs * 1_000;
  const longestMs = requestsOf(flow).reduce((longest, request) => Math.max(longest, request.timeoutMs), 0);
  return Math.max(flow.pacingUs ?? 0, pausesUs(flow.steps) + longestMs * 1_000);
}

/** The longest that the steps may pause. Of turns nobody knows the number of, one is counted. */
function pausesUs(steps: readonly Step[]): number {
  return steps.reduce((sum, step) => sum + pauseUs(step), 0);
}

function pauseUs(step: Step): number {
  switch (step.kind) {
    case 'request':
    case 'parallel':
      return 0;
    case 'think':
      return step.maxUs;
    case 'group':
    case 'transaction':
    case 'retry':
      return pausesUs(step.steps);
    case 'loop':
      return (typeof step.times === 'number' ? step.times : 1) * Math.max(step.pacingUs, pausesUs(step.steps));
    case 'while':
    case 'foreach':
      return Math.max(step.pacingUs, pausesUs(step.steps));
    case 'if':
      return Math.max(pausesUs(step.then), pausesUs(step.else));
    case 'choose':
      return Math.max(...step.branches.map((branch) => pausesUs(branch.steps)));
    case 'poll':
      return step.limitUs;
  }
}
