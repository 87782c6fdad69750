export type { Exchange, HttpClient, Origin } from './exchange.ts';
export { newExchange } from './new-exchange.ts';
export { buildHead, createHttpContext, type HttpContext } from './http1/index.ts';
