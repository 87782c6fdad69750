import { didYouMean, parseDurationUs } from '../base/index.ts';
import { findMetric, METRICS, type CustomMetrics, type MetricKind } from '../stats/index.ts';
import type { Aggregation, Threshold } from './threshold.ts';

export interface ThresholdOptions {
  readonly abortOnFail?: boolean | undefined;
  /** Durations: `"5s"`, or milliseconds as a number. */
  readonly delayAbortEval?: string | number | undefined;
  readonly window?: string | number | undefined;
}

/** Reads one threshold in k6's syntax: `metric` is `http_req_duration{scenario:browse,name:list products}`, `expression` is
 *  `p(99.9)<250`. Bounds of trends are milliseconds, or carry a unit (`1.5s`); those of trends of the scenario's own (`custom`) are in
 *  their own unit. What is wrong comes back as one plain sentence. */
export function parseThreshold(
  metric: string,
  expression: string,
  options: ThresholdOptions = {},
  custom: CustomMetrics = {},
): Threshold | { readonly problem: string } {
  const selector = parseSelector(metric, custom);
  if ('problem' in selector) return selector;
  const condition = parseCondition(expression, selector.metric, selector.kind);
  if ('problem' in condition) return condition;
  const delayAbortEvalUs = parseDurationUs(options.delayAbortEval ?? 0);
  if (delayAbortEvalUs === undefined)
    return { problem: `delayAbortEval: expected a duration such as 5s, got "${String(options.delayAbortEval)}"` };
  const windowUs = options.window === undefined ? undefined : parseDurationUs(options.window);
  if (options.window !== undefined && (windowUs === undefined || windowUs === 0)) {
    return { problem: `window: expected a duration above zero such as 10s, got "${String(options.window)}"` };
  }
  return {
    metric: selector.metric,
    tags: selector.tags,
    expression: expression.trim(),
    ...condition,
    abortOnFail: options.abortOnFail ?? false,
    delayAbortEvalUs,
    windowUs,
  };
}

const METRIC_NAMES = Object.keys(METRICS);

/** Names that a metric of the scenario's own cannot have. */
export function isBuiltInMetric(name: string): boolean {
  return Object.hasOwn(METRICS, name);
}

/** What k6 lets a threshold ask of each kind of metric. */
const AGGREGATIONS: Readonly<Record<MetricKind, readonly string[]>> = {
  trend: ['avg', 'min', 'med', 'max', 'p(N)'],
  counter: ['count', 'rate'],
  rate: ['rate'],
  gauge: ['value'],
};

interface Problem {
  readonly problem: string;
}

interface Selector {
  readonly metric: string;
  readonly kind: MetricKind;
  readonly tags: Readonly<Record<string, string>>;
}

function parseSelector(text: string, custom: CustomMetrics): Selector | Problem {
  const match = /^\s*("[^"]+"|[^{}\s]+)\s*(?:\{(.*)\})?\s*$/s.exec(text);
  if (match === null)
    return { problem: `expected a metric such as http_req_duration or http_req_duration{scenario:browse}, got "${text}"` };
  const [, name = '', tagList] = match;
  const metric = unquoted(name);
  const kind = findMetric(metric, custom)?.kind;
  if (kind === undefined) {
    const names = [...METRIC_NAMES, ...Object.keys(custom)];
    return { problem: `there is no metric "${metric}"${didYouMean(metric, names) || `; the metrics are ${names.join(', ')}`}` };
  }
  const tags: Record<string, string> = {};
  if (tagList === undefined) return { metric, kind, tags };
  let [rest, pair] = [tagList, ''];
  do {
    const found = TAG.exec(rest);
    const [key, value] = [unquoted(found?.[1] ?? ''), unquoted(found?.[2] ?? '')];
    if (key === '' || value === '') return { problem: `expected tags as {name:value,name:value}, got "{${tagList}}"` };
    if (Object.hasOwn(tags, key)) return { problem: `the tag "${key}" stands twice in "{${tagList}}"` };
    tags[key] = value;
    pair = found?.[0] ?? '';
    rest = rest.slice(pair.length);
  } while (pair.endsWith(','));
  return { metric, kind, tags };
}

/** One tag of a list, with the comma behind it. In quotes a name or value may hold commas, colons and braces. */
const TAG = /^\s*("[^"]*"|'[^']*'|[^:,{}]*?)\s*:\s*("[^"]*"|'[^']*'|[^,{}]*?)\s*(?:,|$)/;

/** k6 lets quotes stand around names and values. */
function unquoted(text: string): string {
  const trimmed = text.trim();
  return /^(["']).*\1$/s.test(trimmed) && trimmed.length > 1 ? trimmed.slice(1, -1) : trimmed;
}

const CONDITION = /^\s*(p\s*\([^()]*\)|[A-Za-z]+)\s*(===|==|!=|<=|>=|<|>)\s*([^\s=<>!].*?)\s*$/;
const NUMBER = /^[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?$/;

function parseCondition(
  expression: string,
  metric: string,
  kind: MetricKind,
): Pick<Threshold, 'aggregation' | 'comparison' | 'bound'> | Problem {
  const match = CONDITION.exec(expression);
  if (match === null) return { problem: `expected a condition such as ${EXAMPLE[kind]}, got "${expression}"` };
  const [, asked = '', comparison = '', boundText = ''] = match;
  const aggregation = parseAggregation(asked, metric, kind);
  if ('problem' in aggregation) return aggregation;
  const bound = parseBound(boundText, kind);
  if (bound === undefined) {
    const expected = kind === 'trend' ? 'a number of milliseconds, or a duration such as 1.5s' : 'a number';
    return { problem: `expected ${expected} after ${comparison}, got "${boundText}"` };
  }
  if (kind === 'rate' && (bound < 0 || bound > 1)) {
    return { problem: `${metric} is a fraction between 0 and 1 (5 % is 0.05), got ${boundText}` };
  }
  return { aggregation, comparison: comparison as Threshold['comparison'], bound };
}

const EXAMPLE: Readonly<Record<MetricKind, string>> = { trend: 'p(95)<250', counter: 'count>100', rate: 'rate<0.01', gauge: 'value<100' };

function parseAggregation(asked: string, metric: string, kind: MetricKind): Aggregation | Problem {
  const percentile = /^p\s*\(\s*([^()]*?)\s*\)$/.exec(asked);
  const word = percentile === null ? asked : 'p(N)';
  if (!AGGREGATIONS[kind].includes(word)) {
    const unknown = Object.values(AGGREGATIONS).some((words) => words.includes(word))
      ? `"${asked}" does not suit it`
      : `"${asked}" is unknown`;
    return { problem: `${metric} is a ${kind}: ${unknown}, expected ${listed(AGGREGATIONS[kind])}` };
  }
  if (percentile === null) return { kind: word as Exclude<Aggregation['kind'], 'percentile'> };
  const number = percentile[1] ?? '';
  if (!NUMBER.test(number) || Number(number) < 0 || Number(number) > 100) {
    return { problem: `expected a percentile between p(0) and p(100), got "${asked}"` };
  }
  return { kind: 'percentile', percentile: Number(number) };
}

function parseBound(text: string, kind: MetricKind): number | undefined {
  if (NUMBER.test(text)) return Number.isFinite(Number(text)) ? Number(text) : undefined;
  if (kind !== 'trend') return undefined;
  const us = parseDurationUs(text);
  return us === undefined ? undefined : us / 1000;
}

function listed(words: readonly string[]): string {
  return words.length === 1 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}
