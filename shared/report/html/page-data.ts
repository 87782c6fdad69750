/** What a report's page draws: made where the bundle is read, embedded as JSON, read by `page/`. Times along the run are seconds from its
 *  zero, latencies whole microseconds, and a column without a sample is `null`. */
export interface PageData {
  readonly columnSeconds: number;
  /** Columns of every line below. */
  readonly columns: number;
  readonly views: readonly View[];
  /** Id of the view of the schedule lag, when there is one. */
  readonly lag: string | undefined;
  readonly load: LoadLines;
  readonly errors: readonly ErrorLine[];
  readonly agents: readonly AgentLine[];
  readonly marks: readonly Mark[];
  readonly warmUps: readonly Span[];
}

/** A part of what was measured that a reader can choose: all requests, one step, another trend. */
export interface View {
  readonly id: string;
  readonly label: string;
  readonly group: 'Requests' | 'Steps' | 'Other trends';
  readonly unit: string;
  readonly trends: readonly TrendLines[];
}

/** One trend over time. Every percentile is that of one merged histogram per column. */
export interface TrendLines {
  readonly label: string;
  readonly counts: readonly number[];
  readonly percentiles: Readonly<Record<LinePercentile, readonly (number | null)[]>>;
  readonly max: readonly (number | null)[];
  readonly heat: Heat;
  /** Percentile and value, ascending; of what is in totals, so without any warm-up. */
  readonly spectrum: readonly (readonly [percentile: number, valueUs: number])[];
}

export const LINE_PERCENTILES = ['50', '90', '99', '99.9'] as const;
export type LinePercentile = (typeof LINE_PERCENTILES)[number];

/** Counts by column and row, rows spaced evenly on a logarithmic axis. */
export interface Heat {
  /** Columns of the page that one column of the map spans. */
  readonly span: number;
  readonly rowsPerOctave: number;
  /** Per column its lowest row and the counts from there upwards; `null` where there are none. */
  readonly columns: readonly ([row: number, ...counts: number[]] | null)[];
}

/** Per second, one number a column. */
export interface LoadLines {
  /** Iterations that the plan wanted; `undefined` where no scenario plans arrivals. */
  readonly planned: readonly number[] | undefined;
  readonly started: readonly number[];
  readonly dropped: readonly number[];
  readonly requests: readonly number[];
  /** VUs busy at once over all agents. */
  readonly vus: readonly (number | null)[];
}

export interface ErrorLine {
  readonly kind: string;
  readonly perSecond: readonly number[];
}

export interface AgentLine {
  readonly agent: string;
  readonly health: Readonly<Record<HealthName, readonly (number | null)[]>>;
  readonly startedPerSecond: readonly number[];
}

/** Health over time. Of the intervals of a column the worst is taken, of CPU the mean. */
export const HEALTH = {
  cpu: { title: 'CPU', unit: 'cores' },
  pacerLagP99Us: { title: 'Pacer lag p99, worst interval', unit: 'us' },
  loopDelayMaxUs: { title: 'Event-loop delay, longest', unit: 'us' },
  gcPauseUs: { title: 'Garbage collection, most in an interval', unit: 'us' },
  rssBytes: { title: 'Memory', unit: 'bytes' },
  openSockets: { title: 'Open sockets', unit: '' },
  outboxBatches: { title: 'Batches waiting to be acknowledged', unit: '' },
} as const;
export type HealthName = keyof typeof HEALTH;

/** Something that happened while the load ran. */
export interface Mark {
  /** As the table of events numbers it. */
  readonly number: number;
  readonly atSeconds: number;
  readonly label: string;
  readonly isBad: boolean;
}

export interface Span {
  readonly label: string;
  readonly fromSeconds: number;
  readonly toSeconds: number;
}

/** What the page of a trend draws, scenario by scenario in the order of the sections. */
export interface TrendPageData {
  readonly scenarios: readonly {
    readonly runs: readonly { readonly id: string; readonly startedAt: string }[];
    readonly percentiles: readonly { readonly name: string; readonly us: readonly (number | null)[] }[];
    readonly changes: readonly { readonly index: number; readonly isWorse: boolean }[];
  }[];
}
