import { parseDurationUs, SERIES_MAX } from '../../shared/base/index.ts';
import type { Workload } from '../../shared/plan/index.ts';
import type { FlowFunction, HttpMethod, HttpResponse, RequestBody, RequestOptions, Vu } from '../../shared/scenario/index.ts';
import type { RequestError } from '../../shared/stats/index.ts';
import { buildHead, newExchange, type Exchange, type HttpClient, type HttpContext } from '../protocol/index.ts';
import type { Recorder, StepRecorder } from '../recorder.ts';
import type { Actor, Surroundings } from './actor.ts';
import { nextHop } from './hops.ts';
import { rowFor } from './rows.ts';
import type { ScriptErrors } from './script-errors.ts';
import { ScriptResponse } from './script-response.ts';
import type { Values } from './template.ts';

/** What all VUs of one scripted scenario share. */
export interface ScriptContext {
  readonly scenario: string;
  readonly flow: FlowFunction;
  readonly workload: Workload;
  readonly seed: number;
  readonly recorder: Recorder;
  readonly http: HttpContext;
  readonly scriptErrors: ScriptErrors;
  /** By name and method; bounded, see `stepRecorder`. */
  readonly steps: Map<string, StepRecorder>;
}

/** Thrown into a script whose iteration was interrupted, so that it ends instead of going on unseen. */
class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** A VU that runs a function of the scenario's author. What the function throws ends its iteration and is counted; it never ends the agent. */
export class ScriptActor implements Actor {
  readonly vu: number;
  readonly cleanUpUs = 0;
  private readonly context: ScriptContext;
  private readonly around: Surroundings;
  /** Connections not in use: a script may have several requests under way. */
  private readonly idle: HttpClient[] = [];
  private readonly inUse = new Set<HttpClient>();
  /** Requests under way, awaited by the script or not: the iteration is over when they are. */
  private readonly requests = new Set<Promise<unknown>>();
  private readonly pauses = new Set<() => void>();
  /** Counts iterations, so that what an earlier one left running cannot act in a later one. */
  private generation = 0;
  private isRunning = false;
  /** When the first request was wanted; 0 once there was one, or a pause: later ones are wanted when the script asks for them. */
  private firstWantedUs = 0;

  constructor(vu: number, context: ScriptContext, around: Surroundings) {
    this.vu = vu;
    this.context = context;
    this.around = around;
  }

  start(index: number, intendedUs: number): void {
    this.generation++;
    this.isRunning = true;
    this.firstWantedUs = intendedUs;
    for (const client of this.idle) client.beginIteration();
    void this.iterate(index, this.generation);
  }

  interrupt(): void {
    this.end(false);
    for (const client of [...this.inUse]) client.abort();
    for (const wake of [...this.pauses]) wake();
  }

  close(): void {
    for (const client of [...this.idle, ...this.inUse]) client.close();
  }

  private async iterate(index: number, generation: number): Promise<void> {
    try {
      await this.context.flow(this.surface(index, generation));
    } catch (thrown) {
      // The author's code failed: counted and named, and the VU goes on with its next iteration.
      if (!(thrown instanceof Interrupted)) this.context.scriptErrors.add(thrown);
    }
    while (this.requests.size > 0) await Promise.allSettled(this.requests);
    // A function that never awaits would keep the loop to itself: its next iteration waits for a turn of the loop.
    setImmediate(() => {
      if (generation === this.generation) this.end(true);
    });
  }

  private end(isCompleted: boolean): void {
    if (!this.isRunning) return;
    this.isRunning = false;
    const nowUs = this.around.clock.nowUs();
    this.around.beforeSample(nowUs);
    this.around.ended(this, isCompleted, nowUs);
    if (isCompleted) this.around.afterResponse(nowUs);
  }

  private surface(iteration: number, generation: number): Vu {
    const { workload, seed } = this.context;
    const request = (method: HttpMethod, url: string, body?: RequestBody, options?: RequestOptions): Promise<HttpResponse> => {
      const response = this.request(generation, method, url, body, options);
      this.requests.add(response);
      // The script sees a rejection itself; here only the end matters.
      const done = (): void => void this.requests.delete(response);
      response.then(done, done);
      return response;
    };
    return {
      id: this.vu,
      iteration,
      env: workload.env,
      http: {
        get: (url, options) => request('GET', url, undefined, options),
        head: (url, options) => request('HEAD', url, undefined, options),
        options: (url, options) => request('OPTIONS', url, undefined, options),
        post: (url, body, options) => request('POST', url, body, options),
        put: (url, body, options) => request('PUT', url, body, options),
        patch: (url, body, options) => request('PATCH', url, body, options),
        delete: (url, body, options) => request('DELETE', url, body, options),
        request: (method, url, options) => request(method, url, options?.body, options),
      },
      check: (name, holds) => {
        this.around.recorder.check(name, holds);
        return holds;
      },
      sleep: (duration) => {
        const pause = this.sleep(generation, duration);
        // A script that does not await it must not end the agent when the pause outlives its iteration.
        pause.catch(() => undefined);
        return pause;
      },
      row: (dataSet) => {
        const set = workload.rows[dataSet];
        if (set === undefined) throw new TypeError(`row("${dataSet}"): the scenario file has no such data set`);
        const values = rowFor(set, dataSet, seed, iteration);
        return Object.fromEntries(set.columns.map((column, i) => [column, values[i] ?? '']));
      },
    };
  }

  private async sleep(generation: number, duration: string | number): Promise<void> {
    const us = parseDurationUs(duration);
    if (us === undefined) throw new TypeError(`sleep(${JSON.stringify(duration)}): expected a duration such as "1s" or milliseconds`);
    this.mustBeCurrent(generation);
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.pauses.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, us / 1000);
      this.pauses.add(wake);
    });
    this.mustBeCurrent(generation);
    // What comes after a pause was wanted when the pause was over, as in a flow of steps.
    this.firstWantedUs = 0;
  }

  private async request(
    generation: number,
    method: HttpMethod,
    url: string,
    body: RequestBody | undefined,
    options: RequestOptions = {},
  ): Promise<HttpResponse> {
    this.mustBeCurrent(generation);
    let wantedUs = this.firstWantedUs === 0 ? this.around.clock.nowUs() : this.firstWantedUs;
    this.firstWantedUs = 0;
    const exchange = newExchange();
    exchange.isHead = method === 'HEAD';
    exchange.keepHeaders = true;
    exchange.keepBody = true;
    const recorder = stepRecorder(this.context, options.name ?? `${method} ${url.split('?', 1)[0] ?? url}`, method);
    if (this.fill(exchange, method, url, body, options)) {
      const client = this.idle.pop() ?? this.context.http.createClient();
      this.inUse.add(client);
      await sendOn(client, exchange);
      const limits = { redirects: options.redirects ?? this.context.workload.http.redirects, digest: undefined };
      for (let hops = 0; exchange.location !== '' && exchange.error === undefined && this.isCurrent(generation); hops++) {
        const hop = nextHop(limits, exchange, hops, NO_VALUES, this.context.http);
        if (hop === undefined) break;
        this.record(recorder, exchange, wantedUs, undefined);
        wantedUs = exchange.endedUs;
        Object.assign(exchange, hop);
        await sendOn(client, exchange);
      }
      this.inUse.delete(client);
      this.idle.push(client);
    } else {
      exchange.error = 'bad-url';
      exchange.startedUs = exchange.endedUs = this.around.clock.nowUs();
    }
    const error: RequestError | undefined = exchange.error ?? (exchange.status >= 400 ? 'status' : undefined);
    this.record(recorder, exchange, wantedUs, error);
    this.mustBeCurrent(generation);
    return new ScriptResponse(exchange, error);
  }

  private record(recorder: StepRecorder, exchange: Exchange, wantedUs: number, error: RequestError | undefined): void {
    this.around.beforeSample(exchange.endedUs);
    recorder.request(exchange, wantedUs, error);
    this.around.recorder.bytes(exchange.bytesSent, exchange.bytesReceived);
    this.around.afterResponse(exchange.endedUs);
  }

  /** False when no request can be made of this. */
  private fill(exchange: Exchange, method: HttpMethod, url: string, body: RequestBody | undefined, options: RequestOptions): boolean {
    const { workload, http } = this.context;
    const target = http.parseUrl(url.startsWith('/') ? workload.target + url : url);
    if (target === undefined) return false;
    const headers = new Map<string, readonly [string, string]>();
    for (const [name, value] of workload.defaults.headers) headers.set(name.toLowerCase(), [name, value]);
    if (body !== undefined && typeof body !== 'string') headers.set('content-type', ['content-type', 'application/json']);
    for (const [name, value] of Object.entries(options.headers ?? {})) headers.set(name.toLowerCase(), [name, String(value)]);
    const bytes = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const head = buildHead(method, target.path, target.origin, [...headers.values()], bytes?.length);
    if (head === undefined) return false;
    exchange.origin = target.origin;
    exchange.head = head;
    exchange.body = bytes;
    const timeoutUs = options.timeout === undefined ? undefined : parseDurationUs(options.timeout);
    if (options.timeout !== undefined && timeoutUs === undefined) {
      throw new TypeError(`timeout ${JSON.stringify(options.timeout)}: expected a duration such as "1s" or milliseconds`);
    }
    exchange.timeoutMs = timeoutUs === undefined ? workload.defaults.timeoutMs : timeoutUs / 1000;
    return true;
  }

  private mustBeCurrent(generation: number): void {
    if (!this.isCurrent(generation)) throw new Interrupted('the iteration is over');
  }

  private isCurrent(generation: number): boolean {
    return this.isRunning && generation === this.generation;
  }
}

function sendOn(client: HttpClient, exchange: Exchange): Promise<void> {
  return new Promise((resolve) => {
    client.send(exchange, () => {
      resolve();
    });
  });
}

/** Functions have no templates to fill in. */
const NO_VALUES: Values = { vu: 0, iteration: 0, captured: [] };

/** The recorder for a name the script chose; past the bound all new names share one. */
function stepRecorder({ steps, recorder, scenario }: ScriptContext, name: string, method: string): StepRecorder {
  const key = `${method} ${steps.size < SERIES_MAX ? name : '(other)'}`;
  const known = steps.get(`${method} ${name}`) ?? steps.get(key);
  if (known !== undefined) return known;
  const created = recorder.step(scenario, steps.size < SERIES_MAX ? name : '(other)', method);
  steps.set(key, created);
  return created;
}
