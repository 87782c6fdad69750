import { hash32, uniform } from '../../shared/plan/index.ts';
import type { Cookies, Http, HttpMethod, HttpResponse, Metrics, RequestBody, RequestOptions, Vu } from '../../shared/scenario/index.ts';
import type { Surroundings } from './actor.ts';
import { allRows, rowFor } from './rows.ts';
import type { ScriptContext } from './script-context.ts';
import type { ScriptHttp } from './script-http.ts';
import { scriptCookies } from './script-cookies.ts';
import { mayBeLeft, type ScriptIteration } from './script-iteration.ts';
import { scriptMetrics } from './script-metrics.ts';
import { msOf } from './ms-of.ts';
import { readRequest } from './script-request.ts';
import { ScriptSpans } from './script-spans.ts';

/** What a scenario's function is given: everything it can do, bound to one iteration of one VU. */
export function scriptVu(id: number, iteration: ScriptIteration, context: ScriptContext, http: ScriptHttp, around: Surroundings): Vu {
  const { workload, seed, setup } = context;
  const rowsOf = (dataSet: string, asked: string) => {
    const set = workload.rows[dataSet];
    if (set === undefined) throw new TypeError(`${asked}("${dataSet}"): the scenario file has no such data set`);
    return set;
  };
  const spans = new ScriptSpans(iteration, around);
  let cookies: Cookies | undefined;
  let metrics: Metrics | undefined;
  let draws = 0;
  return {
    id,
    iteration: iteration.index,
    env: workload.env,
    setup: setup.value,
    http: scriptHttp(iteration, context, http),
    // Both are made when they are asked for: most flows need neither.
    get cookies() {
      return (cookies ??= scriptCookies(http.cookies, iteration, workload, context.http));
    },
    get metrics() {
      return (metrics ??= scriptMetrics(context.metrics, around, iteration.phase));
    },
    check: (name, holds) => {
      iteration.samples.check(name, holds, iteration.checkedUs);
      return holds;
    },
    sleep: (duration) => mayBeLeft(iteration.pause(msOf(duration, 'sleep '))),
    row: (dataSet) => {
      const set = rowsOf(dataSet, 'row');
      const values = rowFor(set, dataSet, seed, iteration.index);
      return Object.fromEntries(set.columns.map((column, i) => [column, values[i] ?? '']));
    },
    data: (dataSet) => allRows(rowsOf(dataSet, 'data')),
    random: () => uniform(hash32(seed, iteration.index), draws++),
    transaction: (name, run) => spans.measure('transaction_duration', name, run),
    group: (name, run) => spans.measure('group_duration', name, run),
    poll: (name, probe, options) => spans.poll(name, probe, options),
    retry: (times, run, options) => spans.retry(times, run, options?.wait ?? 0),
  };
}

function scriptHttp(iteration: ScriptIteration, { workload, http }: ScriptContext, sender: ScriptHttp): Http {
  const request = (method: HttpMethod, url: string, body?: RequestBody, options: RequestOptions = {}): Promise<HttpResponse> =>
    mayBeLeft(iteration.follow(sender.send(readRequest(workload, http, method, url, body, options), iteration)));
  return {
    get: (url, options) => request('GET', url, undefined, options),
    head: (url, options) => request('HEAD', url, undefined, options),
    options: (url, options) => request('OPTIONS', url, undefined, options),
    post: (url, body, options) => request('POST', url, body, options),
    put: (url, body, options) => request('PUT', url, body, options),
    patch: (url, body, options) => request('PATCH', url, body, options),
    delete: (url, body, options) => request('DELETE', url, body, options),
    request: (method, url, options) => request(method, url, options?.body, options),
  };
}
