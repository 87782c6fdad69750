export * from './bundle.ts';
export * from './bundle-writer.ts';
export * from './hlog.ts';
export * from './json.ts';
export * from './parse-summary.ts';
export * from './snapshot.ts';
export * from './summary.ts';
export * from './text.ts';
