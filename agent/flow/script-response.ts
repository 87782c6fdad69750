import { parseJsonPath, type JsonPath } from '../../shared/plan/index.ts';
import type { HttpResponse } from '../../shared/scenario/index.ts';
import type { RequestError } from '../../shared/stats/index.ts';
import type { Exchange } from '../protocol/index.ts';
import { jsonAt } from './json-path.ts';
import { ResponseView } from './response.ts';

/** What a script gets of a finished exchange. */
export class ScriptResponse implements HttpResponse {
  readonly status: number;
  readonly durationMs: number;
  readonly error?: RequestError;
  private readonly view: ResponseView;

  constructor(exchange: Exchange, error: RequestError | undefined) {
    this.status = exchange.status;
    this.durationMs = (exchange.endedUs - (exchange.sentUs === 0 ? exchange.startedUs : exchange.sentUs)) / 1000;
    if (error !== undefined) this.error = error;
    this.view = new ResponseView().of(exchange);
  }

  get body(): string {
    return this.view.bodyText;
  }

  headers(name: string): string | undefined {
    return this.view.header(name.toLowerCase());
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the author names the shape that is trusted
  json<T = unknown>(path?: string): T | undefined {
    const { json } = this.view;
    return (path === undefined ? json : jsonAt(json, pathOf(path))) as T | undefined;
  }
}

/** Paths that scripts wrote. Past this many they are forgotten: a script may make them up. */
const PATHS_MAX = 1_024;
const paths = new Map<string, JsonPath>();

/** Throws `TypeError` on what is no path. */
function pathOf(text: string): JsonPath {
  const known = paths.get(text);
  if (known !== undefined) return known;
  const path = parseJsonPath(text);
  if (path === undefined) throw new TypeError(`json("${text}"): expected a path such as $.items[0].id`);
  if (paths.size >= PATHS_MAX) paths.clear();
  paths.set(text, path);
  return path;
}
