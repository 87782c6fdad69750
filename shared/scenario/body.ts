import type { Template, TemplatePart, Upload } from '../plan/index.ts';
import { describe, isMapping } from './describe.ts';
import type { Path } from './problems.ts';
import { lookUp, type Scope } from './scope.ts';
import type { StepDefinition } from './step-schema.ts';
import { compileTemplate, encode, joined, soleExpression } from './template.ts';
import { compileMultipart } from './multipart.ts';
import { compilePairs } from './url.ts';

export interface CompiledBody {
  readonly body: Template | undefined;
  readonly upload: Upload | undefined;
  /** `content-type` when the step does not give one itself. */
  readonly contentType: string | undefined;
}

/** The one body of a step. `say` takes the path from the step down. */
export function compileBody(step: StepDefinition, scope: Scope, say: (path: Path, message: string) => void): CompiledBody {
  const given = (['json', 'form', 'body', 'bodyFile', 'multipart'] as const).filter((key) => step[key] !== undefined);
  if (given.length > 1)
    say(
      [given[1] ?? 'body'],
      `a request has one body: expected only one of json, form, body, bodyFile and multipart, got ${given.join(' and ')}`,
    );
  if (step.json !== undefined)
    return { ...NOTHING, body: joined(jsonParts(step.json, ['json'], scope, say)), contentType: 'application/json' };
  if (step.form !== undefined) {
    const parts = compilePairs(step.form, '&', '', scope, (message, key) => {
      say(key === undefined ? ['form'] : ['form', key], message);
    });
    return { ...NOTHING, body: joined(parts), contentType: 'application/x-www-form-urlencoded' };
  }
  if (step.bodyFile !== undefined) {
    return { ...NOTHING, upload: { kind: 'file', file: step.bodyFile }, contentType: 'application/octet-stream' };
  }
  if (step.multipart !== undefined) {
    const upload = compileMultipart(step.multipart, scope, (key, message) => say(['multipart', key], message));
    return { ...NOTHING, upload, contentType: `multipart/form-data; boundary=${upload.boundary}` };
  }
  if (step.body === undefined) return NOTHING;
  const body = compileTemplate(step.body, 'text', scope, (message) => {
    say(['body'], message);
  });
  return { ...NOTHING, body };
}

const NOTHING: CompiledBody = { body: undefined, upload: undefined, contentType: undefined };

/** Deeper bodies are a mistake, or an attack on the stack. */
const JSON_DEPTH_MAX = 100;

function jsonParts(value: unknown, path: Path, scope: Scope, say: (path: Path, message: string) => void): TemplatePart[] {
  if (path.length > JSON_DEPTH_MAX) {
    say(path.slice(0, 1), `nested more than ${String(JSON_DEPTH_MAX)} deep`);
    return [];
  }
  if (typeof value === 'string') return jsonText(value, path, scope, say);
  if (value === null || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return [JSON.stringify(value)];
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    return ['[', ...items.flatMap((item, i) => [i === 0 ? '' : ',', ...jsonParts(item, [...path, i], scope, say)]), ']'];
  }
  if (isMapping(value)) {
    const entries = Object.entries(value).flatMap(([key, item], i) => {
      return [`${i === 0 ? '' : ','}${JSON.stringify(key)}:`, ...jsonParts(item, [...path, key], scope, say)];
    });
    return ['{', ...entries, '}'];
  }
  say(path, `expected a JSON value, got ${describe(value)}`);
  return [];
}

/** A string that is exactly one reference keeps the type of the value; any other string stays a string. */
function jsonText(text: string, path: Path, scope: Scope, say: (path: Path, message: string) => void): TemplatePart[] {
  const tell = (message: string): void => {
    say(path, message);
  };
  const sole = soleExpression(text);
  if (sole === undefined) return ['"', ...compileTemplate(text, 'json-string', scope, tell), '"'];
  const found = lookUp(sole, scope);
  if (found.kind === 'value') return [typeof found.value === 'string' ? encode(found.value, 'json') : JSON.stringify(found.value)];
  return [...compileTemplate(text, 'json', scope, tell)];
}
