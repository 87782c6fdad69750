/** One SLA: a metric, which of its series count, an aggregation, a comparison and a bound. k6's threshold syntax. */
export interface Threshold {
  readonly metric: string;
  /** Series must carry every one of these tags. Empty for all series of the metric. */
  readonly tags: Readonly<Record<string, string>>;
  /** As the user wrote it: `p(99)<250`. */
  readonly expression: string;
  readonly aggregation: Aggregation;
  readonly comparison: '<' | '<=' | '>' | '>=' | '==' | '===' | '!=';
  /** In the metric's shown unit: milliseconds for trends, a fraction for rates. */
  readonly bound: number;
  readonly abortOnFail: boolean;
  /** No abort before this much of the run has passed, microseconds. */
  readonly delayAbortEvalUs: number;
  /** When set, every full window of this length is judged instead of the whole run; the worst one is reported. */
  readonly windowUs: number | undefined;
}

export type Aggregation =
  | { readonly kind: 'percentile'; readonly percentile: number }
  | { readonly kind: 'avg' | 'min' | 'med' | 'max' | 'count' | 'rate' | 'value' };
