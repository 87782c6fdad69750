import { didYouMean } from '../base/index.ts';
import type { Reference, RowSet } from '../plan/index.ts';
import { listed, type Scalar } from './describe.ts';

/** What a `${…}` may refer to at one place of the file. */
export interface Scope {
  readonly env: Readonly<Record<string, string>>;
  /** `undefined` for a value that could not be resolved, which was said already. */
  readonly vars: ReadonlyMap<string, Scalar | undefined>;
  /** `undefined` for a data set that could not be read, which was said already. */
  readonly rows: ReadonlyMap<string, RowSet | undefined>;
  /** What the setup of the run captures; `any` when it is a function, `undefined` without one, and in the setup itself. */
  readonly setup?: ReadonlySet<string> | 'any' | undefined;
  /** Captured by earlier steps of the same flow. */
  readonly captured: ReadonlySet<string>;
  /** Captured by any step of the same flow. */
  readonly capturedSomewhere: ReadonlySet<string>;
  /** Names of the members that the loops around go through: these alone have fields. */
  readonly items?: ReadonlySet<string>;
}

export type Found =
  | { readonly kind: 'value'; readonly value: Scalar }
  | { readonly kind: 'reference'; readonly reference: Omit<Reference, 'as'> }
  | { readonly kind: 'problem'; readonly message: string }
  /** It exists, but its own problem was said where it is defined. */
  | { readonly kind: 'unknown' };

/** What stands for `expression`, the inside of a `${…}`. */
export function lookUp(expression: string, scope: Scope): Found {
  if (expression === 'vu' || expression === 'iteration') return reference(expression, '', '');
  const dot = expression.indexOf('.');
  if (dot < 0) return lookUpCapture(expression, scope);
  const owner = expression.slice(0, dot).trim();
  const field = expression.slice(dot + 1).trim();
  if (owner === 'env') return lookUpEnv(field, scope);
  if (owner === 'vars') return lookUpVar(field, scope);
  if (owner === 'setup') return lookUpSetup(field, scope);
  return lookUpColumn(owner, field, scope);
}

/** Names that mean something else inside `${…}`. */
export const RESERVED_NAMES: readonly string[] = ['env', 'vars', 'vu', 'iteration', 'setup'];

function lookUpEnv(key: string, scope: Scope): Found {
  const value = Object.hasOwn(scope.env, key) ? scope.env[key] : undefined;
  if (value !== undefined) return { kind: 'value', value };
  return problem(`\${env.${key}} is not set; pass it as -e ${key === '' ? 'NAME' : key}=VALUE${didYouMean(key, Object.keys(scope.env))}`);
}

function lookUpVar(name: string, scope: Scope): Found {
  if (!scope.vars.has(name)) return problem(`there is no "${name}" under vars${didYouMean(name, [...scope.vars.keys()])}`);
  const value = scope.vars.get(name);
  return value === undefined ? { kind: 'unknown' } : { kind: 'value', value };
}

function lookUpSetup(path: string, { setup }: Scope): Found {
  if (setup === undefined) return problem(`there is no setup before this whose result could be used as \${setup.${path}}`);
  const [name = ''] = path.split('.', 1);
  if (path.split('.').includes('')) return problem(`expected a name such as \${setup.token} or \${setup.user.id}, got \${setup.${path}}`);
  if (setup === 'any' || setup.has(name)) return reference('setup', path, '');
  return problem(`the setup captures no "${name}"${didYouMean(name, [...setup])}`);
}

function lookUpColumn(dataSet: string, column: string, scope: Scope): Found {
  if (scope.items?.has(dataSet) === true && column !== '') return reference('capture', dataSet, column);
  if (!scope.rows.has(dataSet)) {
    if (scope.capturedSomewhere.has(dataSet)) return problem(`"${dataSet}" is a capture, which has no columns: write \${${dataSet}}`);
    return problem(`there is no data set "${dataSet}"${didYouMean(dataSet, [...scope.rows.keys(), 'env', 'vars'])}`);
  }
  const rows = scope.rows.get(dataSet);
  if (rows === undefined) return { kind: 'unknown' };
  if (rows.columns.includes(column)) return reference('row', dataSet, column);
  return problem(
    `the data set "${dataSet}" has no column "${column}"; its columns are ${listed(rows.columns)}${didYouMean(column, rows.columns)}`,
  );
}

function lookUpCapture(name: string, scope: Scope): Found {
  if (scope.captured.has(name)) return reference('capture', name, '');
  if (scope.capturedSomewhere.has(name)) {
    return problem(`"${name}" is captured only later in this flow; a step can use what earlier steps captured`);
  }
  if (scope.rows.has(name)) {
    const column = scope.rows.get(name)?.columns[0] ?? 'column';
    return problem(`"${name}" is a data set: name a column of it, as in \${${name}.${column}}`);
  }
  if (scope.vars.has(name)) return problem(`no earlier step captures "${name}"; did you mean \${vars.${name}}?`);
  if (Object.hasOwn(scope.env, name)) return problem(`no earlier step captures "${name}"; did you mean \${env.${name}}?`);
  const near = didYouMean(name, [...scope.captured, 'vu', 'iteration']);
  return problem(`no earlier step captures "${name}"${near}`);
}

function reference(source: Reference['source'], name: string, field: string): Found {
  return { kind: 'reference', reference: { source, name, field } };
}

function problem(message: string): Found {
  return { kind: 'problem', message };
}
