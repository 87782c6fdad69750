export { createHttpContext, type HttpContext, type HttpContextOptions } from './context.ts';
export type { Target } from './origin.ts';
export { buildHead } from './request-head.ts';
