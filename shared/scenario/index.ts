export { readParts, type LargeFile } from './file-parts.ts';
export { loadScenario, type CompiledScenario } from './load.ts';
export type { ScenarioOverrides } from './overrides.ts';
export { formatProblems } from './problems.ts';
export { scenarioJsonSchema } from './schema.ts';
export * from './sdk.ts';
export { parseThresholds } from './threshold-file.ts';
