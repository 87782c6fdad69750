import { hash32, uniform, type RowSet } from '../../shared/plan/index.ts';
import type { Cookies, Http, HttpMethod, HttpResponse, Metrics, RequestBody, RequestOptions, Vu } from '../../shared/scenario/index.ts';
import type { Surroundings } from './actor.ts';
import { allRows, rowFor } from './rows.ts';
import type { ScriptContext } from './script-context.ts';
import type { ScriptHttp } from './script-http.ts';
import { scriptCookies } from './script-cookies.ts';
import { mayBeLeft, type ScriptIteration } from './script-iteration.ts';
import { scriptMetrics } from './script-metrics.ts';
import { msOf } from './ms-of.ts';
import type { ScriptRequests } from './script-request.ts';
import { ScriptSpans } from './script-spans.ts';

/** What a scenario's function is given: everything it can do, bound to one iteration of one VU. Functions may be taken off it, as in
 *  `const { check, sleep } = vu`; getters make them, so that an iteration pays for those that it uses only. */
export class ScriptVu implements Vu {
  readonly id: number;
  readonly http: Http;
  private readonly ownIteration: ScriptIteration;
  private readonly context: ScriptContext;
  private readonly sender: ScriptHttp;
  private readonly around: Surroundings;
  private ownCookies: Cookies | undefined;
  private ownMetrics: Metrics | undefined;
  private draws = 0;

  constructor(
    id: number,
    iteration: ScriptIteration,
    context: ScriptContext,
    requests: ScriptRequests,
    sender: ScriptHttp,
    around: Surroundings,
  ) {
    this.id = id;
    this.http = new VuHttp(iteration, requests, sender);
    this.ownIteration = iteration;
    this.context = context;
    this.sender = sender;
    this.around = around;
  }

  get iteration(): number {
    return this.ownIteration.index;
  }

  get env(): Vu['env'] {
    return this.context.workload.env;
  }

  get setup(): unknown {
    return this.context.setup.value;
  }

  get cookies(): Cookies {
    return (this.ownCookies ??= scriptCookies(this.sender.cookies, this.ownIteration, this.context.workload, this.context.http));
  }

  get metrics(): Metrics {
    return (this.ownMetrics ??= scriptMetrics(this.context.metrics, this.around, this.ownIteration.phase));
  }

  get check(): Vu['check'] {
    return (name, holds) => {
      const { samples, checkedUs } = this.ownIteration;
      samples.check(name, holds, checkedUs);
      return holds;
    };
  }

  get sleep(): Vu['sleep'] {
    return (duration) => mayBeLeft(this.ownIteration.pause(msOf(duration, 'sleep ')));
  }

  get row(): Vu['row'] {
    return (dataSet) => {
      const set = this.rowsOf(dataSet, 'row');
      const values = rowFor(set, dataSet, this.context.seed, this.iteration);
      return Object.fromEntries(set.columns.map((column, i) => [column, values[i] ?? '']));
    };
  }

  get data(): Vu['data'] {
    return (dataSet) => allRows(this.rowsOf(dataSet, 'data'));
  }

  get random(): Vu['random'] {
    return () => uniform(hash32(this.context.seed, this.iteration), this.draws++);
  }

  get transaction(): Vu['transaction'] {
    return (name, run) => this.spans().measure('transaction_duration', name, run);
  }

  get group(): Vu['group'] {
    return (name, run) => this.spans().measure('group_duration', name, run);
  }

  get poll(): Vu['poll'] {
    return (name, probe, options) => this.spans().poll(name, probe, options);
  }

  get retry(): Vu['retry'] {
    return (times, run, options) => this.spans().retry(times, run, options?.wait ?? 0);
  }

  private spans(): ScriptSpans {
    return new ScriptSpans(this.ownIteration, this.around);
  }

  private rowsOf(dataSet: string, asked: string): RowSet {
    const set = this.context.workload.rows[dataSet];
    if (set === undefined) throw new TypeError(`${asked}("${dataSet}"): the scenario file has no such data set`);
    return set;
  }
}

/** `vu.http`. Like it, it may be taken apart. */
class VuHttp implements Http {
  private readonly iteration: ScriptIteration;
  private readonly requests: ScriptRequests;
  private readonly sender: ScriptHttp;

  constructor(iteration: ScriptIteration, requests: ScriptRequests, sender: ScriptHttp) {
    this.iteration = iteration;
    this.requests = requests;
    this.sender = sender;
  }

  get get(): Http['get'] {
    return (url, options) => this.send('GET', url, undefined, options);
  }

  get head(): Http['head'] {
    return (url, options) => this.send('HEAD', url, undefined, options);
  }

  get options(): Http['options'] {
    return (url, options) => this.send('OPTIONS', url, undefined, options);
  }

  get post(): Http['post'] {
    return (url, body, options) => this.send('POST', url, body, options);
  }

  get put(): Http['put'] {
    return (url, body, options) => this.send('PUT', url, body, options);
  }

  get patch(): Http['patch'] {
    return (url, body, options) => this.send('PATCH', url, body, options);
  }

  get delete(): Http['delete'] {
    return (url, body, options) => this.send('DELETE', url, body, options);
  }

  get request(): Http['request'] {
    return (method, url, options) => this.send(method, url, options?.body, options);
  }

  /** Throws `TypeError` on options that mean nothing. */
  private send(method: HttpMethod, url: string, body?: RequestBody, options?: RequestOptions): Promise<HttpResponse> {
    return this.sender.send(this.requests.request(method, url, body, options), this.iteration);
  }
}
