export * from './threshold.ts';
export * from './parse.ts';
export * from './counting.ts';
export * from './evaluate.ts';
export * from './health-watch.ts';
export * from './validity.ts';
export * from './watch.ts';
export * from './requests.ts';
