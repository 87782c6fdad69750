import type { Http, HttpMethod, HttpResponse, RequestBody, RequestOptions, Vu } from '../../shared/scenario/index.ts';
import type { Surroundings } from './actor.ts';
import { rowFor } from './rows.ts';
import type { ScriptContext } from './script-context.ts';
import type { ScriptHttp } from './script-http.ts';
import { mayBeLeft, type ScriptIteration } from './script-iteration.ts';
import { msOf, readRequest } from './script-request.ts';

/** What a scenario's function is given: everything it can do, bound to one iteration of one VU. */
export function scriptVu(id: number, iteration: ScriptIteration, context: ScriptContext, http: ScriptHttp, around: Surroundings): Vu {
  const { workload, seed } = context;
  return {
    id,
    iteration: iteration.index,
    env: workload.env,
    http: scriptHttp(iteration, context, http),
    check: (name, holds) => {
      around.recorder.check(name, holds);
      return holds;
    },
    sleep: (duration) => mayBeLeft(iteration.pause(msOf(duration, 'sleep '))),
    row: (dataSet) => {
      const set = workload.rows[dataSet];
      if (set === undefined) throw new TypeError(`row("${dataSet}"): the scenario file has no such data set`);
      const values = rowFor(set, dataSet, seed, iteration.index);
      return Object.fromEntries(set.columns.map((column, i) => [column, values[i] ?? '']));
    },
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
