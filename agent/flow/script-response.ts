import { parseJsonPath, type JsonPath } from '../../shared/plan/index.ts';
import type { HttpResponse } from '../../shared/scenario/index.ts';
import type { RequestError } from '../../shared/stats/index.ts';
import { fieldsOf, firstField, type Exchange } from '../protocol/index.ts';
import { jsonAt } from './json-path.ts';

/** What a script gets of a finished exchange: values of its own, since the exchange is used again. Head and body are decoded and parsed at
 *  most once, and only when the script asks. */
export class ScriptResponse implements HttpResponse {
  readonly status: number;
  readonly durationMs: number;
  readonly error?: RequestError;
  private readonly raw: Buffer | undefined;
  private readonly head: string;
  private fields: readonly string[] | undefined;
  private text: string | undefined;
  private document: unknown;
  private isParsed = false;

  constructor(exchange: Exchange, error: RequestError | undefined) {
    this.status = exchange.status;
    this.durationMs = (exchange.endedUs - (exchange.sentUs === 0 ? exchange.startedUs : exchange.sentUs)) / 1000;
    if (error !== undefined) this.error = error;
    this.raw = exchange.responseBody;
    this.head = exchange.responseHead;
  }

  get body(): string {
    return (this.text ??= this.raw?.toString('utf8') ?? '');
  }

  headers(name: string): string | undefined {
    return firstField((this.fields ??= fieldsOf(this.head)), name.toLowerCase());
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the author names the shape that is trusted
  json<T = unknown>(path?: string): T | undefined {
    const document = this.parsed();
    return (path === undefined ? document : jsonAt(document, pathOf(path))) as T | undefined;
  }

  private parsed(): unknown {
    if (!this.isParsed) {
      this.isParsed = true;
      try {
        this.document = JSON.parse(this.body);
      } catch {
        // Not JSON: there is nothing at any path, which the caller can see.
        this.document = undefined;
      }
    }
    return this.document;
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
