export { addCounted, addEncoded, countEncoded, encodeHistogram } from './hdr-codec.ts';
export * from './hdr-layout.ts';
export * from './histogram.ts';
export * from './histogram-log.ts';
export * from './interval.ts';
export * from './ledger.ts';
export * from './metrics.ts';
export * from './rollup.ts';
export * from './series.ts';
