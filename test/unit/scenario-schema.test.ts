import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scenarioJsonSchema } from '../../shared/scenario/index.ts';

const FILE = join(import.meta.dirname, '..', '..', 'docs', 'scenario.schema.json');

describe('docs/scenario.schema.json', () => {
  test('is what `npm run schema` writes', () => {
    expect(JSON.parse(readFileSync(FILE, 'utf8'))).toEqual(JSON.parse(JSON.stringify(scenarioJsonSchema())));
  });

  test('knows every section of a file, and refuses others', () => {
    const schema = scenarioJsonSchema() as { readonly properties: object; readonly additionalProperties: boolean };
    const sections = ['data', 'defaults', 'http', 'interval', 'metrics', 'name', 'scenarios', 'seed', 'setup', 'setupTimeout', 'target', 'teardown', 'teardownTimeout', 'thresholds', 'vars']; // prettier-ignore
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(sections));
    expect(schema.additionalProperties).toBe(false);
  });
});
