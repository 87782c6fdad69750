import { isMapping, isScalar, type Scalar } from './describe.ts';
import type { Report } from './problems.ts';
import { lookUp, type Scope } from './scope.ts';
import { resolveNow, soleExpression, splitTemplate } from './template.ts';

/** The named values, resolved through each other and through `-e`. A value in a cycle, or with another problem, is `undefined`. */
export function resolveVars(
  definition: unknown,
  env: Readonly<Record<string, string>>,
  report: Report,
): ReadonlyMap<string, Scalar | undefined> {
  const written = new Map(Object.entries(isMapping(definition) ? definition : {}));
  // Every name is known from the start, also those that end without a value.
  const values = new Map<string, Scalar | undefined>([...written.keys()].map((name) => [name, undefined]));
  const scope: Scope = { env, vars: values, rows: new Map(), captured: new Set(), capturedSomewhere: new Set() };
  const settled = new Set<string>();
  const chain: string[] = [];

  const resolve = (name: string): void => {
    if (settled.has(name)) return;
    const say = (message: string): void => {
      report(['vars', name], message);
    };
    if (chain.includes(name)) {
      const cycle = chain.slice(chain.indexOf(name));
      say(`cyclic interpolation: ${[...cycle, name].join(' → ')}`);
      for (const member of cycle) settled.add(member);
    } else if (chain.length >= CHAIN_MAX) {
      say(`vars refer to each other more than ${String(CHAIN_MAX)} deep`);
      settled.add(name);
    } else {
      const value = written.get(name);
      chain.push(name);
      for (const other of varsIn(value)) if (written.has(other)) resolve(other);
      chain.pop();
      // A cycle found below has settled this name already, without a value.
      if (!settled.has(name)) values.set(name, evaluate(value, scope, say));
      settled.add(name);
    }
  };
  for (const name of written.keys()) resolve(name);
  return values;
}

/** Deeper chains are made by programs, not by people; each link costs a stack frame. */
const CHAIN_MAX = 200;

function varsIn(value: unknown): string[] {
  // What is malformed is said where the value is evaluated.
  const pieces = typeof value === 'string' ? splitTemplate(value, () => undefined) : [];
  return pieces.flatMap((piece) => (typeof piece === 'string' ? [] : (/^vars\.(.+)$/.exec(piece.expression)?.[1] ?? [])));
}

/** The value with everything filled in; a value that is exactly one reference keeps the type of what it names. */
function evaluate(value: unknown, scope: Scope, say: (message: string) => void): Scalar | undefined {
  // That it is a list or a mapping was said with the shape of the document.
  if (typeof value !== 'string') return isScalar(value) ? value : undefined;
  const sole = soleExpression(value);
  const found = sole === undefined ? undefined : lookUp(sole, scope);
  return found?.kind === 'value' ? found.value : resolveNow(value, scope, say);
}
