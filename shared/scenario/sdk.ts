/** What a scenario module imports as `muster`. Types for the author, and the one function that gives them: it changes nothing. */
export function defineScenario(definition: ScenarioFile): ScenarioFile {
  return definition;
}

/** The whole scenario file, key for key as in YAML. */
export interface ScenarioFile {
  readonly name?: string;
  /** Base URL of steps and of `vu.http` calls that give a path. */
  readonly target?: string;
  readonly seed?: number;
  readonly defaults?: { readonly timeout?: Duration; readonly headers?: Readonly<Record<string, Scalar>> };
  readonly http?: HttpSettings;
  readonly vars?: Readonly<Record<string, Scalar>>;
  readonly data?: Readonly<Record<string, DataSet>>;
  readonly scenarios: Readonly<Record<string, Scenario>>;
  readonly thresholds?: Readonly<Record<string, readonly ThresholdDefinition[]>>;
  /** Length of one result interval, `1s` by default. */
  readonly interval?: Duration;
}

/** How agents speak HTTP. */
export interface HttpSettings {
  /** `per-vu` (default): one kept connection per origin and VU; `per-iteration`: fresh ones for every iteration; `shared`: at most so many per
   *  origin and agent, for all VUs. */
  readonly connections?: 'per-vu' | 'per-iteration' | { readonly shared: number };
  /** Redirects that a request follows, 10 by default. */
  readonly redirects?: number;
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
}

export type Scenario = ConstantArrivalRate | RampingArrivalRate | ConstantVus | RampingVus | PerVuIterations | SharedIterations;

interface AnyScenario {
  readonly startTime?: Duration;
  /** Starts when the load of that scenario ends; `startTime` counts from there. */
  readonly startAfter?: string;
  readonly gracefulStop?: Duration;
  readonly flow: readonly StepDefinition[] | FlowFunction;
  /** Clean-up of every iteration of a flow of steps, counted apart; it runs also when the iteration was interrupted. */
  readonly finally?: readonly StepDefinition[];
  /** 10s by default. */
  readonly finallyLimit?: Duration;
  /** An iteration of a flow of steps lasts at least this long. */
  readonly pacing?: Duration;
}

interface OpenScenario extends AnyScenario {
  readonly timeUnit?: Duration;
  readonly arrivals?: 'uniform' | 'poisson';
  /** VUs of the whole cluster. */
  readonly preAllocatedVUs?: number;
  readonly maxVUs?: number;
}

export interface ConstantArrivalRate extends OpenScenario {
  readonly executor: 'constant-arrival-rate';
  readonly rate: Rate;
  readonly duration: Duration;
}

export interface RampingArrivalRate extends OpenScenario {
  readonly executor: 'ramping-arrival-rate';
  readonly startRate?: Rate;
  readonly stages: readonly { readonly duration: Duration; readonly target: Rate }[];
}

export interface ConstantVus extends AnyScenario {
  readonly executor: 'constant-vus';
  readonly vus: number;
  readonly duration: Duration;
}

export interface RampingVus extends AnyScenario {
  readonly executor: 'ramping-vus';
  readonly startVUs?: number;
  readonly stages: readonly { readonly duration: Duration; readonly target: number }[];
  readonly gracefulRampDown?: Duration;
}

interface CountedIterations extends AnyScenario {
  readonly vus?: number;
  readonly iterations?: number;
  readonly maxDuration?: Duration;
}

/** Every VU runs `iterations` iterations. */
export interface PerVuIterations extends CountedIterations {
  readonly executor: 'per-vu-iterations';
}

/** The VUs share `iterations` iterations. */
export interface SharedIterations extends CountedIterations {
  readonly executor: 'shared-iterations';
}

/** One iteration. It runs in the agents; what it throws counts as a failure of the scenario's code. */
export type FlowFunction = (vu: Vu) => Promise<void> | void;

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
export interface Vu {
  /** Global number, 0-based: the same VU keeps it for the whole run, on any number of agents. */
  readonly id: number;
  /** Global index of this iteration within its scenario, 0-based. */
  readonly iteration: number;
  /** What `-e KEY=VALUE` gave. */
  readonly env: Readonly<Record<string, string>>;
  readonly http: Http;
  /** Counts in the metric `checks` under `name`; returns `holds`. */
  check(name: string, holds: boolean): boolean;
  /** Think time: `"1s"`, or milliseconds. */
  sleep(duration: Duration): Promise<void>;
  /** The row of a data set for this iteration, by column. */
  row(dataSet: string): Readonly<Record<string, string>>;
}

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

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD' | 'OPTIONS';

/** Text is sent as it is; any other value as JSON, with `content-type: application/json` unless the headers say otherwise. */
export type RequestBody = string | number | boolean | null | readonly unknown[] | Readonly<Record<string, unknown>>;

export interface RequestOptions {
  /** Tag `name` of the results; method and path by default. Give one when paths carry ids, or every id is a series. */
  readonly name?: string;
  readonly headers?: Readonly<Record<string, Scalar>>;
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
  /** The body as JSON, or what stands at `path` (`$.items[0].id`) in it; `undefined` when it is no JSON or nothing stands there. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the author names the shape that is trusted
  json<T = unknown>(path?: string): T | undefined;
  /** Why the request failed, one of the values of the tag `error`; absent when it did not. */
  readonly error?: string;
  /** Service time: sent to last byte. */
  readonly durationMs: number;
}
