import type { RequestError } from '../../shared/stats/index.ts';
import type { RequestBody } from './body.ts';
import type { HeadMemo } from './http1/head-memo.ts';

/** Where a request goes. One object per distinct scheme, host and port of a run, shared by every VU. */
export interface Origin {
  readonly isTls: boolean;
  /** Name or address to connect to, without brackets. */
  readonly host: string;
  readonly port: number;
  /** `host` header value: the port is left out when it is the scheme's own. */
  readonly authority: string;
}

/** One request and its answer. A VU owns one and fills it again for every step, so the hot path allocates nothing. */
export interface Exchange {
  // The request: set by the flow before `send`.
  origin: Origin;
  /** Whole request head, blank line included, as latin1 text. */
  head: string;
  body: RequestBody | undefined;
  /** A response to HEAD has no body whatever its headers say. */
  isHead: boolean;
  timeoutMs: number;
  /** Without these two, headers and body are read and counted but not kept. */
  keepHeaders: boolean;
  keepBody: boolean;
  /** What the same request was answered with before; `undefined` where nobody remembers. */
  headMemo: HeadMemo | undefined;

  // The answer: set by the protocol before `onDone`. Instants are `Clock.nowUs()` readings, 0 when never reached.
  /** 0 when no final response head arrived. */
  status: number;
  error: RequestError | undefined;
  /** `send` was called. */
  startedUs: number;
  /** The request's first byte was handed to the kernel (a usable connection was there). */
  sentUs: number;
  /** First byte of the response arrived. */
  firstByteUs: number;
  /** Last byte of the response arrived, or the request failed. */
  endedUs: number;
  /** Durations, microseconds; 0 on a kept connection. */
  connectingUs: number;
  tlsUs: number;
  /** From the first byte of the request to its last, where the kernel did not take it all at once. */
  sendingUs: number;
  /** Of a redirect, as the server wrote it; empty without one. */
  location: string;
  /** `WWW-Authenticate` of a 401; empty without one. */
  challenge: string;
  /** Values of `Set-Cookie` in order of arrival; `undefined` without one. */
  setCookies: readonly string[] | undefined;
  /** Bytes on the wire, heads included; TLS framing not. Over HTTP/2 requests share a connection: each is told what crossed it since the
   *  last one ended, so that sums are exact and single values are not. */
  bytesSent: number;
  bytesReceived: number;
  /** Bytes of the decoded (de-chunked) body. */
  bodyBytes: number;
  /** Status line and header fields as latin1 text, which `fieldsOf` takes apart. Only with `keepHeaders`. */
  responseHead: string;
  /** Only with `keepBody`, content codings undone, and never more than the limit. */
  responseBody: Buffer | undefined;
}

/** What one VU sends its requests through. One request at a time: `send` must not be called again before the callback ran. */
export interface HttpClient {
  /** Sends and calls `onDone` exactly once, never synchronously within `send`. Never throws for anything the network does. */
  send(exchange: Exchange, onDone: (exchange: Exchange) => void): void;
  /** Ends the request in flight, if any, with the error `aborted`: its callback runs before this returns. */
  abort(): void;
  /** The VU begins an iteration: where connections live no longer than that, those of the last one are closed. */
  beginIteration(): void;
  /** Aborts, then closes every connection of this VU. */
  close(): void;
}
