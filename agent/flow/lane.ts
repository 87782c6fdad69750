import type { RequestError } from '../../shared/stats/index.ts';
import { newExchange, type Exchange, type HttpClient, type HttpContext, type WireRequest } from '../protocol/index.ts';
import type { Surroundings } from './actor.ts';
import type { CookieJar } from './cookie-jar.ts';
import { nextHop } from './hops.ts';
import { ResponseView } from './response.ts';
import type { ReadyRequest } from './steps.ts';
import type { Values } from './template.ts';

/** Where one VU sends one request at a time. It follows redirects, answers challenges, records, checks and captures; its owner is told
 *  when all that is done. No promise and no closure is made per request: the exchange calls back into `onResponse`. */
export class Lane {
  /** The response that came last. */
  readonly response = new ResponseView();
  /** What was wrong with the last request; `undefined` when nothing was. */
  error: RequestError | undefined;
  endedUs = 0;
  /** From when the response time of what was sent last counts; of a redirect, the hop that led to the answer. */
  wantedUs = 0;
  /** The answer that came last, until the next request. */
  readonly exchange: Exchange = newExchange();
  private readonly http: HttpContext;
  private readonly client: HttpClient;
  private readonly around: Surroundings;
  private readonly values: Values;
  /** The VU's, shared by all its lanes; `undefined` where VUs keep no cookies. */
  private readonly cookies: CookieJar | undefined;
  private readonly onDone: (lane: Lane) => void;
  private request: ReadyRequest | undefined;
  /** What was prepared or sent last, without the cookies of the jar. */
  private wire: WireRequest | undefined;
  /** Requests that the step has sent beyond its first. */
  private hops = 0;
  private refusal: NodeJS.Immediate | undefined;

  /** `onDone` is never called from within `send`. */
  constructor(http: HttpContext, around: Surroundings, values: Values, cookies: CookieJar | undefined, onDone: (lane: Lane) => void) {
    this.http = http;
    this.client = http.createClient();
    this.around = around;
    this.values = values;
    this.cookies = cookies;
    this.onDone = onDone;
  }

  /** Makes the bytes of a request; `send` sends them. Throws `MissingValue`. */
  prepare(request: ReadyRequest): void {
    this.wire = request.constant ?? request.render(this.values);
    this.request = request;
  }

  /** Sends what was prepared. `wantedUs`: the instant from which its response time counts. */
  send(wantedUs: number): void {
    const { exchange, request, wire } = this;
    if (request === undefined) return;
    this.wantedUs = wantedUs;
    if (wire === undefined) {
      this.refusal = setImmediate(this.refuse);
      return;
    }
    this.hops = 0;
    exchange.isHead = request.isHead;
    exchange.timeoutMs = request.timeoutMs;
    exchange.keepHeaders = request.keepHeaders;
    exchange.keepBody = request.keepBody;
    exchange.headMemo = request.headMemo;
    this.transmit(wire);
  }

  /** Lets go of what was sent and answered, for an owner that has taken what it needs: the next request may be long in coming. */
  forget(): void {
    const { exchange } = this;
    this.wire = undefined;
    exchange.body = undefined;
    exchange.responseBody = undefined;
    exchange.responseHead = '';
    exchange.headMemo = undefined;
  }

  /** Ends the request under way, if there is one: its owner is told before this returns. */
  abort(): void {
    if (this.refusal === undefined) this.client.abort();
    else {
      clearImmediate(this.refusal);
      this.refuse();
    }
  }

  beginIteration(): void {
    this.client.beginIteration();
  }

  close(): void {
    this.client.close();
  }

  private transmit(wire: WireRequest): void {
    const { exchange, cookies } = this;
    this.wire = wire;
    exchange.origin = wire.origin;
    exchange.head = cookies === undefined || cookies.isEmpty ? wire.head : cookies.addTo(wire);
    exchange.body = wire.body;
    this.client.send(exchange, this.onResponse);
  }

  private readonly onResponse = (exchange: Exchange): void => {
    const { request } = this;
    if (request === undefined) return;
    const { endedUs } = exchange;
    this.around.beforeSample(endedUs);
    if (exchange.setCookies !== undefined) this.cookies?.takeFrom(exchange);
    if ((exchange.location !== '' || exchange.challenge !== '') && this.goesOn(request, exchange)) return;
    this.error = exchange.error ?? this.judge(request, exchange);
    if (exchange.error !== undefined && request.isLookedAt) this.response.of(exchange);
    this.record(request, exchange, this.error);
    this.request = undefined;
    this.endedUs = endedUs;
    this.onDone(this);
  };

  /** Whether the answer only leads to another request, which is then sent; checks and captures look at the last one. */
  private goesOn(request: ReadyRequest, exchange: Exchange): boolean {
    if (exchange.error !== undefined) return false;
    // The jar is asked again for the next one: it goes elsewhere, and this answer may have set cookies.
    exchange.head = this.wire?.head ?? '';
    const wire = nextHop(request, exchange, this.hops, this.values, this.http);
    if (wire === undefined) return false;
    this.record(request, exchange, undefined);
    const { endedUs } = exchange;
    this.hops++;
    this.wantedUs = endedUs;
    exchange.isHead = wire.isHead;
    this.transmit(wire);
    this.around.afterResponse(endedUs);
    return true;
  }

  private record(request: ReadyRequest, exchange: Exchange, error: RequestError | undefined): void {
    request.recorder.request(exchange, this.wantedUs, error);
    (request.apart ?? this.around.recorder).bytes(exchange.bytesSent, exchange.bytesReceived, this.wantedUs);
  }

  /** What is wrong with a response that did arrive; `undefined` when nothing is. Every check is counted, whichever fails first. */
  private judge(request: ReadyRequest, exchange: Exchange): RequestError | undefined {
    let error: RequestError | undefined = exchange.status >= 400 && !request.checksStatus ? 'status' : undefined;
    if (request.checks.length === 0 && request.captures.length === 0 && !request.isLookedAt) return error;
    const response = this.response.of(exchange);
    const sink = request.apart ?? this.around.recorder;
    for (const check of request.checks) {
      const holds = check.holds(response);
      sink.check(check.name, holds, this.wantedUs);
      if (!holds) error ??= check.isOnStatus && exchange.status >= 400 ? 'status' : 'check';
    }
    for (const { slot, find } of request.captures) {
      const found = find(response);
      this.values.captured[slot] = found;
      if (found === undefined) error ??= 'capture';
    }
    return error;
  }

  private readonly refuse = (): void => {
    this.refusal = undefined;
    const { exchange } = this;
    const nowUs = this.around.clock.nowUs();
    Object.assign(exchange, newExchange(), { error: 'bad-url', startedUs: nowUs, endedUs: nowUs } satisfies Partial<Exchange>);
    this.onResponse(exchange);
  };
}
