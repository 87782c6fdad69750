export * from './agent-state.ts';
export * from './batch-codec.ts';
export * from './control-messages.ts';
export * from './plan-codec.ts';
export * from './results-plane.ts';
export * from './submission-codec.ts';
export * from './subjects.ts';
export * from './workload-codec.ts';
