export type { Exchange, HttpClient, Origin } from './exchange.ts';
export { fieldsOf, firstField } from './header-fields.ts';
export { newExchange } from './new-exchange.ts';
export { answerDigest } from './digest.ts';
export { followRedirect, withHeader, type WireRequest } from './next-request.ts';
export { StreamedBody, type RequestBody, type StoredFile } from './body.ts';
export { createHttpContext, type HttpContext } from './context.ts';
export { HeadMemo } from './http1/head-memo.ts';
export { buildHead } from './http1/request-head.ts';
