export * from './compare.ts';
export { MEASURES, type Measure } from './measures.ts';
export * from './run-sample.ts';
export * from './sparse-counts.ts';
export { percentileCurve, type CurvePoint } from './curve.ts';
