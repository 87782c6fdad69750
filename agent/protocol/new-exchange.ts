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
    headMemo: undefined,
    status: 0,
    error: undefined,
    startedUs: 0,
    sentUs: 0,
    firstByteUs: 0,
    endedUs: 0,
    connectingUs: 0,
    tlsUs: 0,
    sendingUs: 0,
    location: '',
    challenge: '',
    setCookies: undefined,
    bytesSent: 0,
    bytesReceived: 0,
    bodyBytes: 0,
    responseHead: '',
    responseBody: undefined,
  };
}

/** Forgets the last answer, so that the exchange can be sent again from `nowUs` on. */
export function resetAnswer(exchange: Exchange, nowUs: number): void {
  exchange.status = 0;
  exchange.error = undefined;
  exchange.startedUs = nowUs;
  exchange.sentUs = 0;
  exchange.firstByteUs = 0;
  exchange.endedUs = 0;
  exchange.connectingUs = 0;
  exchange.tlsUs = 0;
  exchange.sendingUs = 0;
  exchange.location = '';
  exchange.challenge = '';
  exchange.setCookies = undefined;
  exchange.bytesSent = 0;
  exchange.bytesReceived = 0;
  exchange.bodyBytes = 0;
  exchange.responseHead = '';
  exchange.responseBody = undefined;
}

const NOWHERE: Origin = { isTls: false, host: '', port: 0, authority: '' };
