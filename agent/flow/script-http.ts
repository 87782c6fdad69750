import type { HttpResponse } from '../../shared/scenario/index.ts';
import type { RequestError } from '../../shared/stats/index.ts';
import type { Exchange, HttpClient } from '../protocol/index.ts';
import type { FlowSamples, StepRecorder } from '../recorder.ts';
import type { Surroundings } from './actor.ts';
import { newCookieJar, type CookieJar } from './cookie-jar.ts';
import { nextHop } from './hops.ts';
import { stepRecorder, type ScriptContext } from './script-context.ts';
import type { ScriptIteration } from './script-iteration.ts';
import type { ScriptRequest } from './script-request.ts';
import { ScriptResponse } from './script-response.ts';
import type { Values } from './template.ts';

/** Sends what one VU's script asks for and records it. */
export class ScriptHttp {
  /** `undefined` where VUs keep none. */
  readonly cookies: CookieJar | undefined;
  private readonly context: ScriptContext;
  private readonly around: Surroundings;
  /** Connections not in use: a script may have several requests under way. */
  private readonly idle: HttpClient[] = [];
  private readonly inUse = new Set<HttpClient>();

  constructor(context: ScriptContext, around: Surroundings) {
    this.context = context;
    this.around = around;
    this.cookies = newCookieJar(context.workload.http.cookies, around.clock);
  }

  beginIteration(): void {
    this.cookies?.beginIteration();
    for (const client of this.idle) client.beginIteration();
  }

  /** Every request under way ends with the error `aborted` before this returns. */
  abort(): void {
    for (const client of [...this.inUse]) client.abort();
  }

  close(): void {
    for (const client of [...this.idle, ...this.inUse]) client.close();
  }

  /** A failed request is an answer. Throws `Interrupted` when the iteration is over. */
  async send({ exchange, name, method, redirects }: ScriptRequest, iteration: ScriptIteration): Promise<HttpResponse> {
    iteration.mustGoOn();
    const { clock } = this.around;
    let wantedUs = iteration.takeWantedUs(clock.nowUs());
    const recorder = stepRecorder(this.context, iteration.phase, name, method);
    if (exchange.error === undefined) {
      const client = this.idle.pop() ?? this.context.http.createClient();
      this.inUse.add(client);
      await this.sendOn(client, exchange);
      const limits = { redirects, digest: undefined };
      for (let hops = 0; exchange.location !== '' && isAnswered(exchange) && !iteration.isOver; hops++) {
        const hop = nextHop(limits, exchange, hops, NO_VALUES, this.context.http);
        if (hop === undefined) break;
        this.record(recorder, iteration.samples, exchange, wantedUs, undefined);
        wantedUs = exchange.endedUs;
        Object.assign(exchange, hop);
        await this.sendOn(client, exchange);
      }
      this.inUse.delete(client);
      this.idle.push(client);
    } else {
      exchange.startedUs = exchange.endedUs = clock.nowUs();
    }
    const error: RequestError | undefined = exchange.error ?? (exchange.status >= 400 ? 'status' : undefined);
    this.record(recorder, iteration.samples, exchange, wantedUs, error);
    iteration.checkedUs = wantedUs;
    iteration.mustGoOn();
    iteration.resume(name);
    return new ScriptResponse(exchange, error);
  }

  /** Leaves the head as the script asked for it: the cookies in it are for this hop alone. */
  private sendOn(client: HttpClient, exchange: Exchange): Promise<void> {
    const { cookies } = this;
    const { head } = exchange;
    if (cookies !== undefined && !cookies.isEmpty) exchange.head = cookies.addTo(exchange);
    return new Promise((resolve) => {
      client.send(exchange, () => {
        if (exchange.setCookies !== undefined) cookies?.takeFrom(exchange);
        exchange.head = head;
        resolve();
      });
    });
  }

  private record(
    recorder: StepRecorder,
    samples: FlowSamples,
    exchange: Exchange,
    wantedUs: number,
    error: RequestError | undefined,
  ): void {
    this.around.beforeSample(exchange.endedUs);
    recorder.request(exchange, wantedUs, error);
    samples.bytes(exchange.bytesSent, exchange.bytesReceived, wantedUs);
    this.around.afterResponse(exchange.endedUs);
  }
}

function isAnswered(exchange: Exchange): boolean {
  return exchange.error === undefined;
}

/** Functions have no templates to fill in. */
const NO_VALUES: Values = { vu: 0, iteration: 0, captured: [] };
