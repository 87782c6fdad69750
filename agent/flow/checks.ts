import type { Check, CheckSubject, CheckTest } from '../../shared/plan/index.ts';
import { jsonAt } from './json-path.ts';
import type { ResponseView } from './response.ts';

/** A check made ready to run: its pattern compiled, its header name lowered. */
export interface ReadyCheck {
  readonly name: string;
  readonly isOnStatus: boolean;
  holds(response: ResponseView): boolean;
}

export function readyCheck({ name, subject, test }: Check): ReadyCheck {
  const holds = readyTest(test);
  const read = readySubject(subject);
  return { name, isOnStatus: subject.kind === 'status', holds: (response) => holds(read(response)) };
}

/** Reads from a response what a check or a condition looks at. */
export function readySubject(subject: CheckSubject): (response: ResponseView) => unknown {
  switch (subject.kind) {
    case 'status':
      return (response) => response.status;
    case 'size':
      return (response) => response.bodyBytes;
    case 'body':
      return (response) => response.bodyText;
    case 'header': {
      const header = subject.name.toLowerCase();
      return (response) => response.header(header);
    }
    case 'json':
      return (response) => jsonAt(response.json, subject.path);
  }
}

export function readyTest(test: CheckTest): (value: unknown) => boolean {
  switch (test.op) {
    case 'exists':
      return (value) => (value !== undefined) === test.wanted;
    case 'contains':
      return (value) => textOf(value)?.includes(test.text) ?? false;
    case 'matches': {
      const pattern = new RegExp(test.pattern, test.flags.replace(/[gy]/g, ''));
      return (value) => {
        const text = textOf(value);
        return text !== undefined && pattern.test(text);
      };
    }
    case 'in':
      return (value) => test.values.some((wanted) => isEqual(value, wanted));
    case '==':
      return (value) => isEqual(value, test.value);
    case '!=':
      return (value) => !isEqual(value, test.value);
    case '<':
    case '<=':
    case '>':
    case '>=':
      return ordered(test.op, Number(test.value));
  }
}

function ordered(op: '<' | '<=' | '>' | '>=', bound: number): (value: unknown) => boolean {
  return (value) => {
    const number = typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : NaN;
    switch (op) {
      case '<':
        return number < bound;
      case '<=':
        return number <= bound;
      case '>':
        return number > bound;
      case '>=':
        return number >= bound;
    }
  };
}

/** A header or a captured text "200" equals the number 200 that a scenario file means. */
function isEqual(value: unknown, wanted: string | number | boolean | null): boolean {
  if (value === wanted) return true;
  if (value === undefined || value === null || wanted === null || typeof value === 'object') return false;
  return typeof value !== typeof wanted && textOf(value) === String(wanted);
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (value === undefined) return undefined;
  return JSON.stringify(value);
}
