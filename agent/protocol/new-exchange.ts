import type { Exchange, Origin } from './exchange.ts';

/** An exchange with nothing asked and nothing answered; its owner sets `origin` and `head` before the first `send`. */
export function newExchange(): Exchange {
  return {
    origin: NOWHERE,
    head: '',
    body: undefined,
    isHead: false,
    timeoutMs: 0,
    keepHeaders: false,
    keepBody: false,
    status: 0,
    error: undefined,
    startedUs: 0,
    sentUs: 0,
    firstByteUs: 0,
    endedUs: 0,
    connectingUs: 0,
    tlsUs: 0,
    bytesSent: 0,
    bytesReceived: 0,
    bodyBytes: 0,
    headers: [],
    responseBody: undefined,
  };
}

const NOWHERE: Origin = { isTls: false, host: '', port: 0, authority: '' };
