/** What a scenario module imports as `muster`. Types for the author, and the one function that gives them: it changes nothing. */
export function defineScenario<Setup = undefined>(definition: ScenarioFile<Setup>): ScenarioFile<Setup> {
  return definition;
}

/** The whole scenario file, key for key as in YAML. `Setup` is what `setup` returns; write `setup` first, so that it is inferred. */
export interface ScenarioFile<Setup = unknown> {
  readonly name?: string;
  /** Base URL of steps and of `vu.http` calls that give a path. */
  readonly target?: string;
  readonly seed?: number;
  readonly defaults?: { readonly timeout?: Duration; readonly headers?: Readonly<Record<string, Scalar>> };
  readonly http?: HttpSettings;
  readonly vars?: Readonly<Record<string, Scalar>>;
  readonly data?: Readonly<Record<string, DataSet>>;
  /** Runs once per run, on one agent, before the load; every VU is given what it returns, as `vu.setup`. Plain JSON, at most 1 MiB. */
  readonly setup?: readonly StepDefinition[] | SetupFunction<Setup>;
  /** `60s` by default. */
  readonly setupTimeout?: Duration;
  /** Runs once per run, on one agent, after the load, also when the run was stopped. */
  readonly teardown?: readonly StepDefinition[] | TeardownFunction<Setup>;
  /** `60s` by default. */
  readonly teardownTimeout?: Duration;
  /** Metrics of your own, by name: what `vu.metrics` may record, and thresholds may be about. */
  readonly metrics?: Readonly<Record<string, CustomMetric>>;
  readonly scenarios: Readonly<Record<string, Scenario<Setup>>>;
  readonly thresholds?: Readonly<Record<string, readonly ThresholdDefinition[]>>;
  /** Length of one result interval, `1s` by default. */
  readonly interval?: Duration;
  /** `precise` (default): arrivals are noticed about 0.1 ms late; `relaxed`: 0.5 to 0.8 ms, at a little less CPU. */
  readonly pacing?: 'precise' | 'relaxed';
}

/** How agents speak HTTP. */
export interface HttpSettings {
  /** `per-vu` (default): one kept connection per origin and VU; `per-iteration`: fresh ones for every iteration; `shared`: at most so many per
   *  origin and agent, for all VUs. */
  readonly connections?: 'per-vu' | 'per-iteration' | { readonly shared: number };
  /** Redirects that a request follows, 10 by default. */
  readonly redirects?: number;
  /** How long a VU keeps the cookies that responses set: until its next iteration begins (default), as long as it lives, or not at all. */
  readonly cookies?: 'per-iteration' | 'per-vu' | 'off';
  readonly auth?: Auth;
  /** Beside the request's own `timeout`, which covers everything. */
  readonly timeouts?: { readonly connect?: Duration; readonly firstByte?: Duration };
  readonly dns?: { readonly ttl?: Duration; readonly pick?: 'round-robin' | 'first' };
  /** Where to connect instead, by `host`, `host:port` or `*.example.com`. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** Local addresses of the agents, used in turn. */
  readonly sourceAddresses?: readonly string[];
  /** Every connection goes to this unix socket. */
  readonly socketPath?: string;
  /** The URL of a proxy for everything, one per scheme, or `environment`: the agents' HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */
  readonly proxy?: string | { readonly http?: string; readonly https?: string; readonly none?: readonly string[] };
  /** Files are PEM, relative to the scenario file. */
  readonly tls?: {
    readonly insecure?: boolean;
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly passphrase?: string;
    readonly serverName?: string;
    readonly resumeSessions?: boolean;
  };
}

export type Part = Scalar | { readonly file: string; readonly filename?: string; readonly type?: string };

/** One of the three. */
export interface Auth {
  readonly basic?: Credentials;
  readonly digest?: Credentials;
  readonly bearer?: string;
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** `"1m30s"`, `"250ms"`, or milliseconds. */
export type Duration = string | number;
/** `200`, `"200/s"`, `"2k/s"`. */
export type Rate = string | number;
export type Scalar = string | number | boolean;

export interface DataSet {
  /** A .csv file with a header, or a .json file with a list of flat objects; relative to the scenario file. */
  readonly file: string;
  readonly order?: 'unique' | 'sequential' | 'random';
  /** Of `unique` rows: `stop` (default) ends the scenario when they are used up, `recycle` begins again with the first. */
  readonly whenExhausted?: 'stop' | 'recycle';
}

export interface CustomMetric {
  readonly type: 'counter' | 'gauge' | 'rate' | 'trend';
  /** Of a trend or gauge, for whoever reads the results; `ms` is shown as a time. */
  readonly unit?: string;
}

export type SetupFunction<Setup = unknown> = (vu: Vu<undefined>) => Promise<Setup> | Setup;
export type TeardownFunction<Setup = unknown> = (vu: Vu<Setup>, setup: Setup) => Promise<void> | void;

export type Scenario<Setup = unknown> =
  | ConstantArrivalRate<Setup>
  | RampingArrivalRate<Setup>
  | ConstantVus<Setup>
  | RampingVus<Setup>
  | PerVuIterations<Setup>
  | SharedIterations<Setup>;

interface AnyScenario<Setup> {
  readonly startTime?: Duration;
  /** Starts when the load of that scenario ends; `startTime` counts from there. */
  readonly startAfter?: string;
  readonly gracefulStop?: Duration;
  /** What begins in this time from the scenario's start is measured apart and counts in no total and no threshold. */
  readonly warmup?: Duration;
  readonly flow: readonly StepDefinition[] | FlowFunction<Setup>;
  /** Clean-up after every iteration, also a failed or interrupted one, counted apart under the tag `phase:finally`: steps where the flow is
   *  steps, a function where it is one. */
  readonly finally?: readonly StepDefinition[] | FlowFunction<Setup>;
  /** `10s` by default. */
  readonly finallyLimit?: Duration;
  /** An iteration of a flow of steps lasts at least this long. */
  readonly pacing?: Duration;
}

interface OpenScenario<Setup> extends AnyScenario<Setup> {
  readonly timeUnit?: Duration;
  readonly arrivals?: 'uniform' | 'poisson';
  /** VUs of the whole cluster. */
  readonly preAllocatedVUs?: number;
  readonly maxVUs?: number;
}

export interface ConstantArrivalRate<Setup = unknown> extends OpenScenario<Setup> {
  readonly executor: 'constant-arrival-rate';
  readonly rate: Rate;
  readonly duration: Duration;
}

export interface RampingArrivalRate<Setup = unknown> extends OpenScenario<Setup> {
  readonly executor: 'ramping-arrival-rate';
  readonly startRate?: Rate;
  readonly stages: readonly { readonly duration: Duration; readonly target: Rate }[];
}

export interface ConstantVus<Setup = unknown> extends AnyScenario<Setup> {
  readonly executor: 'constant-vus';
  readonly vus: number;
  readonly duration: Duration;
}

export interface RampingVus<Setup = unknown> extends AnyScenario<Setup> {
  readonly executor: 'ramping-vus';
  readonly startVUs?: number;
  readonly stages: readonly { readonly duration: Duration; readonly target: number }[];
  readonly gracefulRampDown?: Duration;
}

interface CountedIterations<Setup> extends AnyScenario<Setup> {
  readonly vus?: number;
  readonly iterations?: number;
  readonly maxDuration?: Duration;
}

/** Every VU runs `iterations` iterations. */
export interface PerVuIterations<Setup = unknown> extends CountedIterations<Setup> {
  readonly executor: 'per-vu-iterations';
}

/** The VUs share `iterations` iterations. */
export interface SharedIterations<Setup = unknown> extends CountedIterations<Setup> {
  readonly executor: 'shared-iterations';
}

/** One iteration. It runs in the agents; what it throws counts as a failure of the scenario's code. */
export type FlowFunction<Setup = unknown> = (vu: Vu<Setup>) => Promise<void> | void;

/** What a condition looks at, as a check writes it or `${name}`, and what it must be. All lines must hold. */
export type ConditionDefinition = Readonly<Record<string, Scalar | null | readonly Scalar[]>>;

/** Exactly one of: a verb with a path or URL, `think`, or a step that holds others. `think` may end any of them. */
export interface StepDefinition {
  readonly get?: string;
  readonly post?: string;
  readonly put?: string;
  readonly patch?: string;
  readonly delete?: string;
  readonly head?: string;
  readonly options?: string;
  readonly name?: string;
  readonly redirects?: number;
  readonly auth?: 'none' | Auth;
  readonly headers?: Readonly<Record<string, Scalar>>;
  /** Sent with this request only, instead of those of the same names that the VU keeps. */
  readonly cookies?: Readonly<Record<string, Scalar>>;
  readonly query?: Readonly<Record<string, Scalar | readonly Scalar[]>>;
  readonly json?: unknown;
  /** A file, relative to this one, whose bytes are the body. */
  readonly bodyFile?: string;
  /** A form with files (`multipart/form-data`), by field name. */
  readonly multipart?: Readonly<Record<string, Part | readonly Part[]>>;
  readonly form?: Readonly<Record<string, Scalar | readonly Scalar[]>>;
  readonly body?: string;
  readonly timeout?: Duration;
  readonly check?: Readonly<Record<string, Scalar | null | readonly Scalar[]>>;
  readonly capture?: Readonly<Record<string, string>>;
  /** `1s`, or `1s..3s`: a pause, after the step where there is one. */
  readonly think?: Duration;
  /** Tags what is in `steps`, and measures it as `group_duration`. */
  readonly group?: string;
  /** Measures `steps` as `transaction_duration` under this name. */
  readonly transaction?: string;
  /** Turns of `steps`: a number, or text such as `${count}`. */
  readonly loop?: number | string;
  readonly while?: ConditionDefinition;
  /** Turns of a `while`, 10000 by default; past it the iteration fails. */
  readonly limit?: number;
  /** `{ product: '${products}' }`: runs `steps` for every member of a captured list. */
  readonly foreach?: Readonly<Record<string, string>>;
  readonly if?: ConditionDefinition;
  readonly then?: readonly StepDefinition[];
  readonly else?: readonly StepDefinition[];
  readonly choose?: readonly { readonly weight: number; readonly steps: readonly StepDefinition[] }[];
  /** Requests sent at once. */
  readonly parallel?: readonly StepDefinition[];
  /** On a request, or over `steps`: further tries, the wait before each, and by what it grows. */
  readonly retry?: { readonly times: number; readonly wait?: Duration; readonly backoff?: number };
  /** Repeats the request until the condition holds; measured as one transaction. */
  readonly poll?: { readonly name: string; readonly every: Duration; readonly limit: Duration; readonly until: ConditionDefinition };
  /** Every turn of the loop lasts at least this long. */
  readonly pacing?: Duration;
  readonly steps?: readonly StepDefinition[];
}

export type ThresholdDefinition =
  string | { readonly threshold: string; readonly abortOnFail?: boolean; readonly delayAbortEval?: Duration; readonly window?: Duration };

/** The virtual user that runs the iteration. */
export interface Vu<Setup = unknown> {
  /** Global number, 0-based: the same VU keeps it for the whole run, on any number of agents. */
  readonly id: number;
  /** Global index of this iteration within its scenario, 0-based. */
  readonly iteration: number;
  /** What `-e KEY=VALUE` gave. */
  readonly env: Readonly<Record<string, string>>;
  /** What the run's `setup` returned; frozen, and the same for all VUs. */
  readonly setup: Setup;
  readonly http: Http;
  /** The cookies that the VU keeps. */
  readonly cookies: Cookies;
  /** Metrics of your own, declared under `metrics`. */
  readonly metrics: Metrics;
  /** Counts in the metric `checks` under `name`; returns `holds`. */
  check(name: string, holds: boolean): boolean;
  /** Think time: `"1s"`, or milliseconds. */
  sleep(duration: Duration): Promise<void>;
  /** The row of a data set for this iteration, by column. */
  row(dataSet: string): Readonly<Record<string, string>>;
  /** All rows of a data set. */
  data(dataSet: string): readonly Readonly<Record<string, string>>[];
  /** Uniform in (0, 1). The same draws for the same seed and iteration, on any number of agents. */
  random(): number;
  /** Measures `run` as a whole in the metric `transaction_duration` under the tag `name`; one that throws has the tag `error` too. */
  transaction<T>(name: string, run: () => Promise<T> | T): Promise<T>;
  /** The same in the metric `group_duration` under the tag `group`. */
  group<T>(name: string, run: () => Promise<T> | T): Promise<T>;
  /** Calls `probe` until it gives something other than `undefined`, `null` or `false`, and resolves with that. The whole wait is the
   *  transaction `name`. Throws after `limit` (60s by default). */
  poll<T>(name: string, probe: () => Promise<T | undefined | null | false>, options?: PollOptions): Promise<T>;
  /** Calls `run` until it does not throw, at most `times` times; the last throw is yours. */
  retry<T>(times: number, run: () => Promise<T> | T, options?: { readonly wait?: Duration }): Promise<T>;
}

export interface PollOptions {
  /** From the end of one probe to the next, `1s` by default. */
  readonly every?: Duration;
  readonly limit?: Duration;
}

/** Recording under a name that is not declared, as another type than declared, or what is no number from 0 up, throws a `TypeError`.
 *  `tags` tell series apart; each different set of them is a series, so they must be few. */
export interface Metrics {
  /** Adds whole numbers up. */
  counter(name: string): { add(count: number, tags?: MetricTags): void };
  /** Keeps the last value by time, the lowest and the highest. */
  gauge(name: string): { set(value: number, tags?: MetricTags): void };
  /** The fraction of `true`. */
  rate(name: string): { add(holds: boolean, tags?: MetricTags): void };
  /** A histogram: three decimals, three significant digits, up to 3600000. */
  trend(name: string): { add(value: number, tags?: MetricTags): void };
}

export type MetricTags = Readonly<Record<string, string>>;

/** Sends requests and measures them. `url` is a path under the target or a whole URL. A failed request is an answer, never a throw. */
export interface Http {
  get(url: string, options?: RequestOptions): Promise<HttpResponse>;
  head(url: string, options?: RequestOptions): Promise<HttpResponse>;
  options(url: string, options?: RequestOptions): Promise<HttpResponse>;
  post(url: string, body?: RequestBody, options?: RequestOptions): Promise<HttpResponse>;
  put(url: string, body?: RequestBody, options?: RequestOptions): Promise<HttpResponse>;
  patch(url: string, body?: RequestBody, options?: RequestOptions): Promise<HttpResponse>;
  delete(url: string, body?: RequestBody, options?: RequestOptions): Promise<HttpResponse>;
  request(method: HttpMethod, url: string, options?: RequestOptions & { readonly body?: RequestBody }): Promise<HttpResponse>;
}

/** The cookies of one VU. What responses set is in there already, and goes with the requests it is for. `url` is a path under the target or a whole
 *  URL. What makes no sense, or may not be set by `url`, throws a `TypeError`. */
export interface Cookies {
  /** What is sent to `url`, by name. */
  get(url: string): Readonly<Record<string, string>>;
  /** Keeps a cookie as if the response of `url` had set it. */
  set(url: string, name: string, value: Scalar, options?: CookieOptions): void;
  /** Forgets them all. */
  clear(): void;
}

export interface CookieOptions {
  /** For this domain and all below it; by default for the very host of the URL. */
  readonly domain?: string;
  /** By default up to the last slash in the path of the URL. */
  readonly path?: string;
  /** Over TLS only. */
  readonly secure?: boolean;
  /** In whole seconds, rounded up; 0 removes the cookie. */
  readonly expiresIn?: Duration;
}

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD' | 'OPTIONS';

/** Text is sent as it is; any other value as JSON, with `content-type: application/json` unless the headers say otherwise. */
export type RequestBody = string | number | boolean | null | readonly unknown[] | Readonly<Record<string, unknown>>;

export interface RequestOptions {
  /** Tag `name` of the results; method and path by default. Give one when paths carry ids, or every id is a series. */
  readonly name?: string;
  readonly headers?: Readonly<Record<string, Scalar>>;
  /** Sent with this request only, instead of those of the same names that the VU keeps. */
  readonly cookies?: Readonly<Record<string, Scalar>>;
  readonly timeout?: Duration;
  /** Redirects that it follows, instead of those of `http.redirects`. */
  readonly redirects?: number;
}

export interface HttpResponse {
  /** 0 when no response came. */
  readonly status: number;
  /** First value of a header, in any case of its name. */
  headers(name: string): string | undefined;
  /** Empty when there is none. */
  readonly body: string;
  /** The body as JSON, or what stands at `path` (`$.items[0].id`) in it; `undefined` when it is no JSON or nothing stands there.
   *  Parsed once: the same objects every time. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the author names the shape that is trusted
  json<T = unknown>(path?: string): T | undefined;
  /** Why the request failed, one of the values of the tag `error`; absent when it did not. */
  readonly error?: string;
  /** Service time: sent to last byte. */
  readonly durationMs: number;
}
