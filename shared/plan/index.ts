export * from './epochs.ts';
export * from './flow.ts';
export * from './json-path.ts';
export * from './plan.ts';
export * from './random.ts';
export * from './schedule.ts';
export * from './stripe.ts';
export * from './vu-ramp.ts';
