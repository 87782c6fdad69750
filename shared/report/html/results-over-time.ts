import { AppError } from '../../base/index.ts';
import { CLEAN_UP_TAGS, seriesKey, type Tags } from '../../stats/index.ts';
import type { Bundle } from '../bundle.ts';
import type { AgentLine as BatchLine, ClosedLine } from '../interval-lines.ts';
import { HEALTH, type AgentLine, type ErrorLine, type HealthName } from './page-data.ts';
import type { Columns } from './series-columns.ts';

/** What `intervals.ndjson` tells over time; all rates are per second. */
export interface ResultsOverTime {
  readonly agents: readonly AgentLine[];
  /** Iterations, over all agents. */
  readonly started: readonly number[];
  readonly dropped: readonly number[];
  /** Requests, failed ones included; `undefined` where the file counts none, as in one made of another tool's log. */
  readonly requests: readonly number[] | undefined;
  /** Most frequent first. */
  readonly errors: readonly ErrorLine[];
  /** VUs busy at once over all agents. */
  readonly vus: readonly (number | null)[];
  /** Agents past the limit, which have no lines of their own. */
  readonly leftOut: number;
}

/** Points that the lines of all agents have together; past it, agents that come later are in sums only. */
const POINTS_MAX = 400_000;
/** Kinds of errors drawn by themselves; the rest is one line. */
const ERROR_KINDS_MAX = 7;

type Declared = readonly [number: number, metric: string, kind: string, tags: Tags];

const NAMES = Object.keys(HEALTH) as HealthName[];

/** Streams `intervals.ndjson` into columns. Throws `BUNDLE_INVALID` when it ends other intervals than those that the columns are made of. */
export async function readResults(bundle: Bundle, columns: Columns): Promise<ResultsOverTime> {
  const { count, columnUs } = columns;
  const intervalUs = bundle.manifest.intervalMs * 1_000;
  const agents = new Map<string, AgentColumns>();
  const requests = new RequestColumns(count);
  const ended = new EndedTrends(columns);
  for await (const line of bundle.resultLines()) {
    if ('series' in line) {
      requests.define(line.series);
      ended.define(line.series);
    }
    if ('closed' in line) ended.add(line);
    if (!('agent' in line)) continue;
    let agent = agents.get(line.agent);
    if (agent === undefined) {
      agent = new AgentColumns(count);
      agents.set(line.agent, agent);
    }
    // Several intervals that an outbox added together stand where the last of them ended.
    const interval = line.intervalIndex + line.intervalCount - 1;
    const column = Math.min(count - 1, Math.floor((interval * intervalUs) / columnUs));
    agent.add(column, line);
    requests.add(column, line);
  }
  if (bundle.isComplete) ended.expectAll(bundle.dir, columns.lines);
  const perSecond = (counts: Float64Array): number[] => Array.from(counts, (value) => round((value * 1_000_000) / columnUs));
  const all = [...agents].sort(([a], [b]) => (a < b ? -1 : 1));
  const drawn = all.slice(0, Math.max(1, Math.floor(POINTS_MAX / (count * (NAMES.length + 1)))));
  return {
    agents: drawn.map(([agent, lines]) => ({ agent, health: lines.health(), startedPerSecond: perSecond(lines.started) })),
    started: perSecond(
      sum(
        count,
        all.map(([, { started }]) => started),
      ),
    ),
    dropped: perSecond(
      sum(
        count,
        all.map(([, { dropped }]) => dropped),
      ),
    ),
    requests: requests.isEmpty ? undefined : perSecond(requests.all),
    errors: requests.errors().map(([kind, counts]) => ({ kind, perSecond: perSecond(counts) })),
    vus: sumOfKnown(
      count,
      all.map(([, { vus }]) => vus),
    ),
    leftOut: all.length - drawn.length,
  };
}

/** What lines that end intervals say must be in the log. */
class EndedTrends {
  private readonly drawn: ReadonlySet<string>;
  private readonly isDrawn = new Map<number, boolean>();
  private intervals = 0;
  private lines = 0;

  constructor({ series }: Columns) {
    this.drawn = new Set(series.map(({ metric, tags }) => seriesKey(metric, tags)));
  }

  define(series: readonly Declared[]): void {
    for (const [number, metric, , tags] of series) this.isDrawn.set(number, this.drawn.has(seriesKey(metric, tags)));
  }

  add({ trends = [] }: ClosedLine): void {
    this.intervals++;
    for (const [number] of trends) if (this.isDrawn.get(number) === true) this.lines++;
  }

  /** Bundles of older versions have no such lines. */
  expectAll(dir: string, lines: number): void {
    if (this.intervals === 0 || lines === this.lines) return;
    throw new AppError(
      'BUNDLE_INVALID',
      `${dir}: intervals.hlog and intervals.ndjson do not belong together: ${lines} of the ${this.lines} histograms that make the charts are there`,
    );
  }
}

/** Requests where they ended, and those that failed by the tag `error`. */
class RequestColumns {
  readonly all: Float64Array;
  isEmpty = true;
  /** By number of a series: its error, `''` for none. Other series are not in here. */
  private readonly errorOf = new Map<number, string>();
  private readonly byError = new Map<string, Float64Array>();

  constructor(columns: number) {
    this.all = new Float64Array(columns);
  }

  define(series: readonly Declared[]): void {
    for (const [number, metric, , tags] of series) {
      // Clean-up is no load.
      if (metric === 'http_reqs' && tags['phase'] !== CLEAN_UP_TAGS.phase) this.errorOf.set(number, tags['error'] ?? '');
      else this.errorOf.delete(number);
    }
  }

  add(column: number, { counters = [] }: BatchLine): void {
    for (const [number, count] of counters) {
      const error = this.errorOf.get(number);
      if (error === undefined) continue;
      this.isEmpty = false;
      this.all[column]! += count;
      if (error !== '') this.countsOf(error)[column]! += count;
    }
  }

  /** Most frequent first; of too many kinds the rarest together. */
  errors(): [kind: string, counts: Float64Array][] {
    const total = (counts: Float64Array): number => counts.reduce((all, value) => all + value, 0);
    const sorted = [...this.byError].sort(([, a], [, b]) => total(b) - total(a));
    const rest = sorted.splice(ERROR_KINDS_MAX);
    if (rest.length > 0)
      sorted.push([
        `${rest.length} other kinds`,
        sum(
          this.all.length,
          rest.map(([, counts]) => counts),
        ),
      ]);
    return sorted;
  }

  private countsOf(error: string): Float64Array {
    const counts = this.byError.get(error) ?? new Float64Array(this.all.length);
    this.byError.set(error, counts);
    return counts;
  }
}

/** One agent, column by column. */
class AgentColumns {
  readonly started: Float64Array;
  readonly dropped: Float64Array;
  readonly vus: (number | null)[];
  private readonly worst: Readonly<Record<HealthName, (number | null)[]>>;
  private readonly cpuSums: Float64Array;
  private readonly cpuLines: Float64Array;
  /** The highest that each counter of a ledger was seen at. */
  private readonly seen = new Map<string, number>();

  constructor(columns: number) {
    const empty = (): null[] => Array.from({ length: columns }, () => null);
    this.started = new Float64Array(columns);
    this.dropped = new Float64Array(columns);
    this.cpuSums = new Float64Array(columns);
    this.cpuLines = new Float64Array(columns);
    this.vus = empty();
    this.worst = Object.fromEntries(NAMES.map((name) => [name, empty()])) as Record<HealthName, (number | null)[]>;
  }

  add(column: number, { incarnation, ledgers, health }: BatchLine): void {
    for (const { scenario, ledger } of ledgers) {
      const key = `${incarnation} ${scenario}`;
      this.started[column]! += this.grown(`started ${key}`, ledger.started);
      this.dropped[column]! += this.grown(`dropped ${key}`, ledger.dropped);
    }
    for (const name of NAMES) this.worst[name][column] = Math.max(this.worst[name][column] ?? 0, health[name]);
    this.vus[column] = Math.max(this.vus[column] ?? 0, health.activeVus);
    this.cpuSums[column]! += health.cpu;
    this.cpuLines[column]!++;
  }

  health(): AgentLine['health'] {
    const cpu = Array.from(this.cpuSums, (total, column) => (this.cpuLines[column] === 0 ? null : round(total / this.cpuLines[column]!)));
    const rounded = NAMES.map((name) => [name, this.worst[name].map((value) => (value === null ? null : Math.round(value)))]);
    return { ...(Object.fromEntries(rounded) as Record<HealthName, (number | null)[]>), cpu };
  }

  /** By how much a counter that only grows has grown; a line that comes late adds nothing that a later one has told already. */
  private grown(key: string, value: number): number {
    const before = this.seen.get(key) ?? 0;
    this.seen.set(key, Math.max(before, value));
    return Math.max(0, value - before);
  }
}

function sum(columns: number, lists: readonly Float64Array[]): Float64Array {
  const total = new Float64Array(columns);
  for (const list of lists) list.forEach((value, i) => (total[i]! += value));
  return total;
}

function sumOfKnown(columns: number, lists: readonly (readonly (number | null)[])[]): (number | null)[] {
  return Array.from({ length: columns }, (_, column) => {
    const known = lists.flatMap((list) => list[column] ?? []);
    return known.length === 0 ? null : known.reduce((total, value) => total + value, 0);
  });
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
