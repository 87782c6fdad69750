/** The metrics Muster measures, with k6's names where k6 has them. Trends are durations kept in whole microseconds. */
export type MetricKind = 'trend' | 'counter' | 'rate' | 'gauge';

export interface MetricDefinition {
  readonly kind: MetricKind;
  /** What a reader sees: trends are shown in milliseconds, counters and gauges as they are. */
  readonly unit: 'ms' | 'bytes' | '';
  readonly meaning: string;
}

export const METRICS = {
  http_reqs: { kind: 'counter', unit: '', meaning: 'requests sent, failed ones included' },
  http_req_failed: { kind: 'rate', unit: '', meaning: 'requests that ended in an error, an unexpected status or a failed check' },
  http_req_response_time: { kind: 'trend', unit: 'ms', meaning: 'intended start to last byte' },
  http_req_duration: { kind: 'trend', unit: 'ms', meaning: 'service time: actual send to last byte' },
  http_req_sending: { kind: 'trend', unit: 'ms', meaning: 'first byte of the request to its last; 0 when the kernel took it at once' },
  http_req_waiting: { kind: 'trend', unit: 'ms', meaning: 'request sent to first byte' },
  http_req_receiving: { kind: 'trend', unit: 'ms', meaning: 'first byte of the response to its last' },
  http_req_blocked: { kind: 'trend', unit: 'ms', meaning: 'waiting for a usable connection, connecting included' },
  http_req_connecting: { kind: 'trend', unit: 'ms', meaning: 'TCP connect; 0 on a kept connection' },
  http_req_tls_handshaking: { kind: 'trend', unit: 'ms', meaning: 'TLS handshake; 0 on a kept connection' },
  schedule_lag: { kind: 'trend', unit: 'ms', meaning: 'intended start to actual start of an iteration' },
  iteration_duration: { kind: 'trend', unit: 'ms', meaning: 'one whole pass of a flow, think time included' },
  group_duration: { kind: 'trend', unit: 'ms', meaning: 'a group of steps, from the instant the flow reached it to its end' },
  transaction_duration: { kind: 'trend', unit: 'ms', meaning: 'a named transaction, from the instant the flow reached it to its end' },
  iterations: { kind: 'counter', unit: '', meaning: 'iterations completed' },
  dropped_iterations: { kind: 'counter', unit: '', meaning: 'planned iterations that never found a free VU' },
  data_sent: { kind: 'counter', unit: 'bytes', meaning: 'bytes written to sockets' },
  data_received: { kind: 'counter', unit: 'bytes', meaning: 'bytes read from sockets' },
  vus: { kind: 'gauge', unit: '', meaning: 'VUs busy with an iteration' },
  checks: { kind: 'rate', unit: '', meaning: 'checks that held' },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;

/** A metric of the scenario's own. A trend keeps its values in thousandths, as those of ours keep milliseconds in microseconds. */
export interface CustomMetric {
  readonly kind: MetricKind;
  /** As the author gave it; empty for none. */
  readonly unit: string;
}

export type CustomMetrics = Readonly<Record<string, CustomMetric>>;

/** One of ours or of the scenario's; `undefined` for neither. */
export function findMetric(name: string, custom: CustomMetrics = {}): CustomMetric | undefined {
  if (Object.hasOwn(METRICS, name)) return METRICS[name as MetricName];
  return Object.hasOwn(custom, name) ? custom[name] : undefined;
}

/** How a request can fail: the closed list behind the tag `error`. No tag means the request succeeded. */
export const REQUEST_ERRORS = {
  timeout: 'no complete response within the timeout',
  dns: 'the host name did not resolve',
  'connect-refused': 'nothing listens there',
  'connect-reset': 'the connection closed or broke before the response was complete',
  connect: 'the connection failed for another reason (unreachable, out of ports, out of descriptors)',
  tls: 'TLS handshake or certificate',
  protocol: 'the response was not legal HTTP, or its head was too large',
  'body-too-large': 'a body to be checked or captured passed the limit',
  'file-unreadable': 'a file to be sent could not be read to its end',
  aborted: 'interrupted by the end of the run',
  status: 'a status of 400 or above that no check expected',
  check: 'a check did not hold',
  capture: 'a capture found nothing',
  'bad-url': 'interpolation made a URL or header that cannot be sent',
  'not-allowed': "outside the agent's own allow-list",
} as const satisfies Record<string, string>;

export type RequestError = keyof typeof REQUEST_ERRORS;

/** How a group or transaction can fail beside a request in it: the tag `error` of `group_duration` and `transaction_duration`. */
export const SPAN_ERRORS = {
  thrown: 'the function that it measures threw',
  'poll-limit': 'a poll reached its limit before its condition held',
  'flow-limit': 'a loop passed its limit, or what it was to go through was no list and no number of turns',
} as const satisfies Record<string, string>;

export type SpanError = RequestError | keyof typeof SPAN_ERRORS;
