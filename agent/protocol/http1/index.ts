export { createHttpContext, type HttpContext } from './context.ts';
export { buildHead } from './request-head.ts';
