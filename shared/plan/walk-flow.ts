import type { Condition, Flow, RequestStep, Step, Template, TemplatePart } from './flow.ts';

/** Every request of a flow, wherever it stands; the clean-up's own too. */
export function requestsOf(flow: Flow): RequestStep[] {
  return allSteps(flow).flatMap((step) => (step.kind === 'request' ? [step] : []));
}

/** Every step of a flow, those inside others after the one that holds them. */
export function allSteps(flow: Flow): Step[] {
  if (flow.kind === 'script') return [];
  return [...stepsBelow(flow.steps), ...stepsBelow(flow.finally?.steps ?? [])];
}

export function stepsBelow(steps: readonly Step[]): Step[] {
  return steps.flatMap((step) => [step, ...stepsBelow(innerSteps(step))]);
}

/** Steps directly inside one. */
export function innerSteps(step: Step): readonly Step[] {
  switch (step.kind) {
    case 'request':
    case 'think':
      return [];
    case 'group':
    case 'transaction':
    case 'loop':
    case 'while':
    case 'foreach':
    case 'retry':
      return step.steps;
    case 'if':
      return [...step.then, ...step.else];
    case 'choose':
      return step.branches.flatMap(({ steps }) => steps);
    case 'parallel':
      return step.requests;
    case 'poll':
      return [step.request];
  }
}

/** Everything in one step, not in those inside it, that may hold references. */
export function templatesOf(step: Step): readonly Template[] {
  switch (step.kind) {
    case 'request':
      return requestTemplates(step);
    case 'loop':
      return typeof step.times === 'number' ? [] : [step.times];
    case 'while':
    case 'if':
      return [referencesOf(step.condition)];
    case 'poll':
      return [referencesOf(step.until)];
    default:
      return [];
  }
}

function requestTemplates({ url, body, headers, auth, upload }: RequestStep): readonly Template[] {
  const credentials = auth === undefined ? [] : [auth.user, auth.password];
  const parts =
    upload?.kind === 'multipart'
      ? upload.parts.flatMap(({ head, content }) => (content.kind === 'text' ? [head, content.text] : [head]))
      : [];
  return [url, body ?? [], ...headers.map(([, value]) => value), ...credentials, ...parts];
}

function referencesOf(condition: Condition): TemplatePart[] {
  return condition.flatMap(({ subject }) => (subject.kind === 'value' ? [subject.value] : []));
}
