import { AppError, type Problem } from '../base/index.ts';
import type { Summary } from './summary.ts';

/** Takes what `JSON.parse` made of a `summary.json`, ours or an old one's, and refuses what a report could not be made of:
 *  `BUNDLE_INVALID` with every problem at once. */
export function parseSummary(unknown: unknown, where = 'summary.json'): Summary {
  const problems: Problem[] = [];
  const at = (path: string): Check => new Check(path, problems);
  if (!isRecord(unknown)) throw new AppError('BUNDLE_INVALID', `${where}: expected a JSON object`);
  if (unknown['schemaVersion'] !== 1) {
    throw new AppError('BUNDLE_INVALID', `${where}: schemaVersion: expected 1, got ${JSON.stringify(unknown['schemaVersion'])}`);
  }

  const run = at('run').record(unknown['run']);
  for (const name of ['id', 'name', 'startedAt']) at(`run.${name}`).text(run[name]);
  at('run.durationSeconds').number(run['durationSeconds']);
  const agents = at('run.agents').record(run['agents']);
  for (const name of ['planned', 'reported', 'lost']) at(`run.agents.${name}`).number(agents[name]);

  const ledger = at('ledger').record(unknown['ledger']);
  for (const name of ['planned', 'started', 'dropped', 'undelivered', 'unknown', 'completed', 'interrupted']) {
    at(`ledger.${name}`).number(ledger[name]);
  }
  const samples = at('ledger.samples').record(ledger['samples']);
  for (const name of ['recorded', 'merged', 'missing', 'duplicate']) at(`ledger.samples.${name}`).number(samples[name]);

  const validity = at('validity').record(unknown['validity']);
  at('validity.grade').oneOf(validity['grade'], ['valid', 'degraded', 'invalid']);
  at('validity.reasons')
    .list(validity['reasons'])
    .forEach((reason, i) => {
      const path = `validity.reasons[${i}]`;
      const record = at(path).record(reason);
      at(`${path}.code`).text(record['code']);
      at(`${path}.detail`).text(record['detail']);
    });

  for (const section of ['metrics', 'submetrics']) {
    // Optional: a summary needs no submetrics to be one.
    if (section === 'submetrics' && unknown[section] === undefined) continue;
    for (const [name, metric] of Object.entries(at(section).record(unknown[section]))) checkMetric(at, `${section}.${name}`, metric);
  }
  if (unknown['warmUps'] !== undefined)
    at('warmUps')
      .list(unknown['warmUps'])
      .forEach((one, i) => {
        const warmUp = at(`warmUps[${i}]`).record(one);
        at(`warmUps[${i}].scenario`).text(warmUp['scenario']);
        for (const name of ['seconds', 'iterations', 'requests']) at(`warmUps[${i}].${name}`).number(warmUp[name]);
      });
  at('series')
    .list(unknown['series'])
    .forEach((one, i) => {
      const series = at(`series[${i}]`).record(one);
      at(`series[${i}].metric`).text(series['metric']);
      at(`series[${i}].tags`).tags(series['tags']);
      checkMetric(at, `series[${i}]`, one);
    });
  at('thresholds')
    .list(unknown['thresholds'])
    .forEach((one, i) => {
      const path = `thresholds[${i}]`;
      const threshold = at(path).record(one);
      at(`${path}.metric`).text(threshold['metric']);
      at(`${path}.expression`).text(threshold['expression']);
      at(`${path}.verdict`).oneOf(threshold['verdict'], ['pass', 'fail', 'no-data']);
      if (threshold['tags'] !== undefined) at(`${path}.tags`).tags(threshold['tags']);
      if (threshold['verdict'] !== 'no-data') at(`${path}.observed`).number(threshold['observed']);
    });
  if (unknown['agents'] !== undefined)
    at('agents')
      .list(unknown['agents'])
      .forEach((one, i) => checkAgent(at, `agents[${i}]`, one));

  if (problems.length > 0) {
    const first = problems[0];
    const rest = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    throw new AppError('BUNDLE_INVALID', `${where}: ${first?.path ?? ''}: ${first?.message ?? ''}${rest}`, { problems });
  }
  const thresholds = (unknown['thresholds'] as object[]).map((threshold) => ({ tags: {}, ...threshold }));
  // Every field that the type promises was checked above; the optional sections get their empty form.
  return { submetrics: {}, agents: [], ...unknown, thresholds } as unknown as Summary;
}

type At = (path: string) => Check;

function checkMetric(at: At, path: string, unknown: unknown): void {
  const metric = at(path).record(unknown);
  const numbers = (names: readonly string[]): void => {
    for (const name of names) at(`${path}.${name}`).number(metric[name]);
  };
  switch (metric['type']) {
    case 'trend': {
      numbers(['count', 'min', 'mean', 'max', 'stdDev']);
      const percentiles = at(`${path}.percentiles`).record(metric['percentiles']);
      for (const name of ['50', '90', '95', '99', '99.9', '99.99']) at(`${path}.percentiles.${name}`).number(percentiles[name]);
      return;
    }
    case 'counter':
      numbers(['count', 'rate']);
      return;
    case 'rate':
      numbers(['rate', 'passes', 'fails']);
      return;
    case 'gauge':
      numbers(['value', 'min', 'max']);
      return;
    default:
      at(`${path}.type`).oneOf(metric['type'], ['trend', 'counter', 'rate', 'gauge']);
  }
}

function checkAgent(at: At, path: string, unknown: unknown): void {
  const agent = at(path).record(unknown);
  at(`${path}.agent`).text(agent['agent']);
  for (const name of ['pacerLagP99WorstMs', 'pacerLagMaxMs', 'loopDelayMaxMs', 'cpuMean', 'cpuWorst', 'rssMaxBytes']) {
    at(`${path}.${name}`).number(agent[name]);
  }
}

/** Problems kept of one file; a file that is all wrong needs no more to be told so. */
const PROBLEMS_MAX = 50;

/** Checks the value at one path; a wrong one is noted and replaced by an empty one, so that checking goes on. */
class Check {
  private readonly path: string;
  private readonly problems: Problem[];

  constructor(path: string, problems: Problem[]) {
    this.path = path;
    this.problems = problems;
  }

  record(value: unknown): Readonly<Record<string, unknown>> {
    return isRecord(value) ? value : this.wrong('an object', value, {});
  }

  list(value: unknown): readonly unknown[] {
    return Array.isArray(value) ? value : this.wrong('an array', value, []);
  }

  text(value: unknown): void {
    if (typeof value !== 'string') this.wrong('a string', value, undefined);
  }

  number(value: unknown): void {
    if (typeof value !== 'number') this.wrong('a number', value, undefined);
  }

  oneOf(value: unknown, allowed: readonly string[]): void {
    if (typeof value !== 'string' || !allowed.includes(value)) this.wrong(`one of ${allowed.join(', ')}`, value, undefined);
  }

  tags(value: unknown): void {
    if (!isRecord(value) || Object.values(value).some((one) => typeof one !== 'string'))
      this.wrong('an object of strings', value, undefined);
  }

  private wrong<T>(expected: string, value: unknown, instead: T): T {
    const got = value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 40);
    if (this.problems.length < PROBLEMS_MAX) this.problems.push({ path: this.path, message: `expected ${expected}, got ${got}` });
    return instead;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
