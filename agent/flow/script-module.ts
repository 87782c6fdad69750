import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AppError } from '../../shared/base/index.ts';
import type { FlowFunction, SetupFunction, TeardownFunction } from '../../shared/scenario/index.ts';
import { describeThrown } from './script-errors.ts';
import { ScriptOrigin } from './script-origin.ts';

/** The functions of a loaded scenario module. */
export interface LoadedScript {
  /** By scenario name. */
  readonly flows: ReadonlyMap<string, FlowFunction>;
  /** `finally`, by scenario name. */
  readonly cleanUps: ReadonlyMap<string, FlowFunction>;
  readonly setup: SetupFunction | undefined;
  readonly teardown: TeardownFunction | undefined;
  /** `undefined` for functions of our own, in which nobody looks for a mistake. */
  readonly origin: ScriptOrigin | undefined;
}

/** Loads the bundled module. Throws `AppError('SCRIPT_THREW')` when it throws, naming its source line through the source map. */
export async function loadScript(source: string): Promise<LoadedScript> {
  process.setSourceMapsEnabled(true);
  // A file, not a `data:` URL: stack traces of a file are short enough to read. Its real path, because that is what stands in them.
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'muster-script-')));
  const file = join(folder, 'scenario.mjs');
  const origin = new ScriptOrigin(file, source);
  try {
    await writeFile(file, source);
    const module = (await import(pathToFileURL(file).href)) as { readonly default?: unknown };
    return { ...functionsOf(module.default), origin };
  } catch (thrown) {
    const message = `the scenario's code threw while it was loaded: ${describeThrown(thrown, origin)}`;
    throw new AppError('SCRIPT_THREW', message, { cause: thrown });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The submitting side has checked the shape of this very module; here only the functions are picked out. */
function functionsOf(definition: unknown): Omit<LoadedScript, 'origin'> {
  const { scenarios, setup, teardown } = definition as Definition;
  const functionsAt = (key: 'flow' | 'finally'): Map<string, FlowFunction> =>
    new Map(
      Object.entries(scenarios).flatMap(([name, { [key]: run }]) =>
        typeof run === 'function' ? [[name, run as FlowFunction] as const] : [],
      ),
    );
  return {
    flows: functionsAt('flow'),
    cleanUps: functionsAt('finally'),
    setup: typeof setup === 'function' ? (setup as SetupFunction) : undefined,
    teardown: typeof teardown === 'function' ? (teardown as TeardownFunction) : undefined,
  };
}

interface Definition {
  readonly scenarios: Readonly<Record<string, { readonly flow: unknown; readonly finally?: unknown }>>;
  readonly setup?: unknown;
  readonly teardown?: unknown;
}
