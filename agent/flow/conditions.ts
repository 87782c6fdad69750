import type { Condition, ConditionTerm, Step } from '../../shared/plan/index.ts';
import { stepsBelow } from '../../shared/plan/index.ts';
import { readySubject, readyTest } from './checks.ts';
import type { ResponseView } from './response.ts';
import type { Looks } from './steps.ts';
import { readyValue, type TemplateSources, type Values } from './template.ts';

export type ReadyCondition = (values: Values, response: ResponseView) => boolean;

/** A condition made ready to be asked any number of times: nothing is parsed or compiled when it is. */
export function readyCondition(condition: Condition, sources: TemplateSources): ReadyCondition {
  const terms = condition.map((term) => readyTerm(term, sources));
  return (values, response) => {
    for (const term of terms) if (!term(values, response)) return false;
    return true;
  };
}

function readyTerm({ subject, test }: ConditionTerm, sources: TemplateSources): ReadyCondition {
  const holds = readyTest(test);
  switch (subject.kind) {
    case 'constant': {
      const answer = holds(subject.value);
      return () => answer;
    }
    case 'value': {
      const read = readyValue(subject.value, sources);
      return (values) => holds(read(values));
    }
    default: {
      const read = readySubject(subject);
      return (_, response) => holds(read(response));
    }
  }
}

/** What has to be kept of a response for `conditions` that are asked after it. */
export function looksOf(conditions: readonly Condition[]): Looks {
  const kinds = new Set(conditions.flatMap((condition) => condition.map(({ subject }) => subject.kind)));
  const atBody = kinds.has('body') || kinds.has('json');
  const isAny = atBody || kinds.has('header') || kinds.has('status') || kinds.has('size');
  return { atHeaders: kinds.has('header'), atBody, atStatus: kinds.has('status'), isAny };
}

/** Conditions of a flow that look at whatever response came last; those of polls look at their own. */
export function roamingConditions(steps: readonly Step[]): Condition[] {
  return stepsBelow(steps).flatMap((step) => (step.kind === 'if' || step.kind === 'while' ? [step.condition] : []));
}
