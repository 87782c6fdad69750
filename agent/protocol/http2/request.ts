import { constants, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import type { RequestError } from '../../../shared/stats/index.ts';
import { StreamedBody } from '../body.ts';
import { BodyPump } from '../body-pump.ts';
import { decodeBody } from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { ConnectionShared } from '../http1/connection.ts';
import type { Waiter } from '../http1/deadlines.ts';
import { ResponseBody } from '../http1/response-body.ts';
import type { Http2Connection } from './connection.ts';
import { headersOf } from './headers.ts';
import type { OriginLane } from './lanes.ts';
import { nameErrorCode, nameSessionError } from './stream-errors.ts';

/** Bodies up to this length leave at once; how long longer ones take is measured. */
const SENT_AT_ONCE_BYTES = 16 * 1024;
/** How often one request is sent again after goodbyes. More are a server that takes nothing. */
const RESENDS_MAX = 5;
/** The type of a frame with the head of a request (RFC 9113, 6.2). */
const HEADERS_FRAME = 1;

/** The requests of one VU, one at a time: waits for room on a connection, then is one stream of it. */
export class Http2Request implements Waiter {
  deadlineUs = 0;
  slot = -1;
  next: Waiter | undefined = undefined;
  previous: Waiter | undefined = undefined;

  private readonly shared: ConnectionShared;
  private readonly body: ResponseBody;
  private exchange: Exchange | undefined = undefined;
  private onDone: ((exchange: Exchange) => void) | undefined = undefined;
  private lane: OriginLane | undefined = undefined;
  private connection: Http2Connection | undefined = undefined;
  private stream: ClientHttp2Stream | undefined = undefined;
  private pump: BodyPump | undefined = undefined;
  private isBodySent = true;
  private contentEncoding = '';
  /** -1 when the response does not tell. */
  private contentLength = -1;
  private totalUs = 0;
  private resends = 0;
  private refusal: NodeJS.Immediate | undefined = undefined;

  constructor(shared: ConnectionShared) {
    this.shared = shared;
    this.body = new ResponseBody(shared.limits.bodyBytesMax);
  }

  send(exchange: Exchange, onDone: (exchange: Exchange) => void, lane: OriginLane, nowUs: number): void {
    this.exchange = exchange;
    this.onDone = onDone;
    this.lane = lane;
    this.body.begin(exchange.keepBody);
    this.contentEncoding = '';
    this.contentLength = -1;
    this.isBodySent = true;
    this.resends = 0;
    this.totalUs = nowUs + exchange.timeoutMs * 1000;
    this.shared.deadlines.add(this, this.totalUs);
    lane.admit(this, nowUs);
  }

  abort(): void {
    this.finish('aborted', this.shared.clock.nowUs());
  }

  expire(nowUs: number): void {
    const { connection } = this;
    this.finish('timeout', nowUs);
    connection?.suspect(nowUs);
  }

  /** It has a place on a connection that is being made. */
  awaitConnection(connection: Http2Connection, nowUs: number): void {
    this.connection = connection;
    if (this.shared.connectUs !== 0) this.expectBy(Math.min(this.totalUs, nowUs + this.shared.connectUs));
  }

  /** Sends. `isFirst`: the connection was made for it. */
  begin(connection: Http2Connection, session: ClientHttp2Session, nowUs: number, isFirst: boolean): void {
    const { exchange, shared } = this;
    if (exchange === undefined) return;
    this.connection = connection;
    if (isFirst) {
      exchange.connectingUs = connection.phases.connectingUs;
      exchange.tlsUs = connection.phases.tlsUs;
      if (shared.connectUs !== 0) this.expectBy(this.totalUs);
    }
    exchange.sentUs = nowUs;
    if (shared.firstByteUs !== 0) this.expectBy(Math.min(this.totalUs, nowUs + shared.firstByteUs));
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(headersOf(exchange.head, exchange.origin), { endStream: exchange.body === undefined });
    } catch (thrown) {
      // A head that HTTP/1.1 can carry and HTTP/2 cannot. `onDone` must not run within `send`.
      if (!(thrown instanceof Error)) throw thrown;
      setImmediate(() => {
        if (this.exchange === exchange) this.finish('protocol', shared.clock.nowUs());
      });
      return;
    }
    this.stream = stream;
    this.listen(stream, exchange);
    this.sendBody(stream, exchange);
  }

  /** Ends it, if it is under way; with an error its stream is closed. The callback comes last, for it may send again.
   *  `by` is the connection that ended it and has let go of it already. */
  finish(error: RequestError | undefined, nowUs: number, by?: Http2Connection): void {
    const { exchange, onDone, connection, stream, shared } = this;
    if (exchange === undefined || onDone === undefined) return;
    this.exchange = undefined;
    this.onDone = undefined;
    this.connection = undefined;
    this.stream = undefined;
    shared.deadlines.remove(this);
    clearImmediate(this.refusal);
    exchange.error = error;
    exchange.endedUs = nowUs;
    if (exchange.sentUs !== 0) this.settle(exchange, connection);
    else if (connection !== undefined)
      Object.assign(exchange, { connectingUs: connection.phases.connectingUs, tlsUs: connection.phases.tlsUs });
    this.pump?.stop();
    this.pump = undefined;
    // Nobody reads on, or no more of a body is wanted. One that ended by itself is left alone: servers count resets as an attack.
    const isCutOff = error !== undefined || !this.isBodySent;
    if (isCutOff && stream !== undefined && !stream.destroyed) stream.close(constants.NGHTTP2_CANCEL);
    if (connection === undefined) this.lane?.giveUp(this);
    else if (by === undefined) connection.release(this);
    onDone(exchange);
  }

  /** The server did nothing for this stream. Without a goodbye that is its answer. With one it is housekeeping (RFC 9113, 8.7): sent again, it
   *  is still one request, with the time that was lost in its response time. */
  private refused(): void {
    this.stream = undefined;
    // Streams that a goodbye ends may end before it is told.
    this.refusal = setImmediate(() => {
      const nowUs = this.shared.clock.nowUs();
      if (this.connection?.isLeaving === true && this.resends < RESENDS_MAX) this.sendAgain(nowUs);
      else this.finish('connect-reset', nowUs);
    });
  }

  private sendAgain(nowUs: number): void {
    const { exchange, connection, lane } = this;
    if (exchange === undefined || lane === undefined) return;
    this.resends++;
    this.pump?.stop();
    this.pump = undefined;
    this.connection = undefined;
    this.isBodySent = true;
    exchange.sentUs = 0;
    this.expectBy(this.totalUs);
    connection?.release(this);
    lane.admit(this, nowUs);
  }

  private settle(exchange: Exchange, connection: Http2Connection | undefined): void {
    const { shared, body } = this;
    exchange.bodyBytes = body.byteCount;
    if (!this.isBodySent) exchange.sendingUs = exchange.endedUs - exchange.sentUs;
    if (exchange.keepBody && exchange.error === undefined) {
      exchange.responseBody = body.result();
      if (this.contentEncoding !== '') exchange.error = decodeBody(exchange, this.contentEncoding, shared.limits.bodyBytesMax);
    }
    const { sent, received } = connection?.takeByteCounts() ?? { sent: 0, received: 0 };
    exchange.bytesSent = sent;
    exchange.bytesReceived = received;
    shared.bytesSent += sent;
    shared.bytesReceived += received;
  }

  private listen(stream: ClientHttp2Stream, exchange: Exchange): void {
    const { clock } = this.shared;
    const arrived = (): void => {
      if (this.stream !== stream || exchange.firstByteUs !== 0) return;
      exchange.firstByteUs = clock.nowUs();
      if (this.shared.firstByteUs !== 0) this.expectBy(this.totalUs);
    };
    const end = (error: RequestError | undefined): void => {
      if (this.stream !== stream) return;
      const isRefused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM && exchange.firstByteUs === 0;
      if (isRefused) this.refused();
      else this.finish(error, clock.nowUs());
    };
    stream.on('headers', arrived);
    stream.on(
      'response',
      (headers: IncomingHttpHeaders & { readonly ':status'?: number }, _flags, ...[raw]: readonly (readonly string[])[]) => {
        arrived();
        if (this.stream === stream) this.takeHead(exchange, headers, raw ?? []);
      },
    );
    stream.on('data', (bytes: Buffer) => {
      if (this.stream === stream && !this.body.take(bytes, 0, bytes.length)) end('body-too-large');
    });
    // A stream that the server resets without an error ends in the same way: only the announced length tells the two apart.
    stream.on('end', () => {
      const isWhole = exchange.isHead || this.contentLength === -1 || this.contentLength === this.body.byteCount;
      end(exchange.status !== 0 && isWhole ? undefined : nameErrorCode(stream.rstCode));
    });
    stream.on('frameError', (type: number) => {
      // The goodbye was faster: the head is still here.
      if (this.stream === stream && type === HEADERS_FRAME) this.refused();
    });
    stream.on('error', (error: Error) => {
      end(nameSessionError(error, stream.rstCode));
    });
    stream.on('close', () => {
      end(nameErrorCode(stream.rstCode));
    });
  }

  private takeHead(exchange: Exchange, headers: IncomingHttpHeaders & { readonly ':status'?: number }, raw: readonly string[]): void {
    const status = headers[':status'] ?? 0;
    exchange.status = status;
    if (status >= 300 && status < 400) exchange.location = headers.location ?? '';
    if (status === 401) exchange.challenge = headers['www-authenticate'] ?? '';
    exchange.setCookies = headers['set-cookie'];
    this.contentEncoding = (headers['content-encoding'] ?? '').toLowerCase();
    // What has none by its status may tell a length all the same (RFC 9110, 8.6).
    const hasBody = !exchange.isHead && status !== 204 && status !== 304;
    this.contentLength = hasBody ? Number(headers['content-length'] ?? -1) : -1;
    if (exchange.keepHeaders) {
      let head = `HTTP/2 ${status}\r\n`;
      for (let i = 0; i + 1 < raw.length; i += 2) if (raw[i]?.startsWith(':') === false) head += `${raw[i]}: ${raw[i + 1]}\r\n`;
      exchange.responseHead = `${head}\r\n`;
    }
    if (!this.body.hasRoomFor(this.contentLength)) this.finish('body-too-large', this.shared.clock.nowUs());
  }

  private sendBody(stream: ClientHttp2Stream, exchange: Exchange): void {
    const { body } = exchange;
    if (body === undefined) return;
    const { clock } = this.shared;
    const sent = (): void => {
      if (this.stream !== stream) return;
      this.isBodySent = true;
      exchange.sendingUs = clock.nowUs() - exchange.sentUs;
    };
    if (body instanceof StreamedBody) {
      this.isBodySent = false;
      this.pump = new BodyPump(
        body,
        (bytes, taken) =>
          stream.write(bytes, (error) => {
            if (error === null || error === undefined) taken();
          }),
        (isWhole) => {
          if (this.stream !== stream) return;
          if (isWhole) stream.end(sent);
          else this.finish('file-unreadable', clock.nowUs());
        },
      );
      this.pump.start();
    } else if (body.length <= SENT_AT_ONCE_BYTES) {
      stream.end(body);
    } else {
      this.isBodySent = false;
      stream.end(body, sent);
    }
  }

  private expectBy(deadlineUs: number): void {
    this.shared.deadlines.remove(this);
    this.shared.deadlines.add(this, deadlineUs);
  }
}
