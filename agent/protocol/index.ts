export type { Exchange, HttpClient, Origin } from './exchange.ts';
export { newExchange } from './new-exchange.ts';
export { answerDigest } from './digest.ts';
export { followRedirect, withHeader, type WireRequest } from './next-request.ts';
export { buildHead, createHttpContext, type HttpContext } from './http1/index.ts';
