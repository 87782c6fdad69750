export * from './clock.ts';
export * from './defaults.ts';
export * from './errors.ts';
export * from './limits.ts';
export * from './log.ts';
export * from './suggest.ts';
export * from './units.ts';
export * from './version.ts';
