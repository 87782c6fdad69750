import { parseJsonPath } from '../../shared/plan/index.ts';
import type { HttpResponse } from '../../shared/scenario/index.ts';
import type { RequestError } from '../../shared/stats/index.ts';
import type { Exchange } from '../protocol/index.ts';
import { jsonAt } from './json-path.ts';

/** What a script gets of a finished exchange: values of its own, since the exchange is used again. */
export class ScriptResponse implements HttpResponse {
  readonly status: number;
  readonly durationMs: number;
  readonly error?: RequestError;
  private readonly raw: Buffer | undefined;
  private readonly rawHeaders: readonly string[];
  private text: string | undefined;

  constructor(exchange: Exchange, error: RequestError | undefined) {
    this.status = exchange.status;
    this.durationMs = (exchange.endedUs - (exchange.sentUs === 0 ? exchange.startedUs : exchange.sentUs)) / 1000;
    if (error !== undefined) this.error = error;
    this.raw = exchange.responseBody;
    this.rawHeaders = exchange.headers.slice();
  }

  get body(): string {
    return (this.text ??= this.raw?.toString('utf8') ?? '');
  }

  headers(name: string): string | undefined {
    const wanted = name.toLowerCase();
    const at = this.rawHeaders.findIndex((text, i) => i % 2 === 0 && text === wanted);
    return at < 0 ? undefined : this.rawHeaders[at + 1];
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the author names the shape that is trusted
  json<T = unknown>(path?: string): T | undefined {
    let document: unknown;
    try {
      document = JSON.parse(this.body);
    } catch {
      // Not JSON: there is nothing at any path, which the caller can see.
      return undefined;
    }
    if (path === undefined) return document as T;
    const parsed = parseJsonPath(path);
    if (parsed === undefined) throw new TypeError(`json("${path}"): expected a path such as $.items[0].id`);
    return jsonAt(document, parsed) as T | undefined;
  }
}
