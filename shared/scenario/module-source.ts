import { SourceMap } from 'node:module';
import { basename, dirname, extname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { BuildFailure, Message } from 'esbuild';
import { reasonOf, type Problem } from '../base/index.ts';

export interface ModuleSource {
  /** The default export, with every function replaced by a stand-in. `undefined` when there are problems. */
  readonly definition: unknown;
  /** The bundle: one ES module that needs nothing but Node's own modules. */
  readonly script: string;
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

/** Bundles a scenario module with everything it imports, runs its top level once and reads its default export.
 *  It runs in a thread of its own: a module that loops for ever, exits or throws late costs a message, not this process. */
export async function loadModuleSource(file: string): Promise<ModuleSource> {
  const bundled = await bundle(file);
  if ('problems' in bundled) return { definition: undefined, script: '', problems: bundled.problems, warnings: [] };
  const { script, warnings } = bundled;
  const outcome = await readDefault(script);
  if (outcome.kind === 'definition') {
    const definition = revive(outcome.json);
    if (definition !== undefined) return { ...definition, script, problems: [], warnings };
    return { definition: undefined, script, problems: [{ path: '', message: 'the default export is nested too deeply' }], warnings };
  }
  return { definition: undefined, script, problems: [{ path: '', message: sentenceFor(outcome, script, file) }], warnings };
}

/** What a module imports as `muster`. It stands beside this file, as .ts in the source and as .js in a build. */
const SDK = fileURLToPath(new URL(`./sdk${extname(import.meta.url)}`, import.meta.url));

type Bundled = { readonly script: string; readonly warnings: readonly string[] } | { readonly problems: readonly Problem[] };

async function bundle(file: string): Promise<Bundled> {
  const directory = dirname(resolve(file));
  // Only modules need a bundler, and loading it takes longer than checking a YAML file.
  const { build } = await import('esbuild');
  try {
    const result = await build({
      entryPoints: [resolve(file)],
      absWorkingDir: directory,
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: 'inline',
      sourcesContent: true,
      alias: { muster: SDK },
      logLevel: 'silent',
    });
    const script = result.outputFiles[0]?.text ?? '';
    return { script, warnings: result.warnings.map((warning) => located(warning, file)) };
  } catch (thrown) {
    if (!isBuildFailure(thrown)) return { problems: [{ path: '', message: `cannot be bundled: ${firstLine(reasonOf(thrown))}` }] };
    return {
      problems: thrown.errors.map((error) => ({ path: '', message: located(error, file) })),
    };
  }
}

function isBuildFailure(thrown: unknown): thrown is BuildFailure {
  return thrown instanceof Error && 'errors' in thrown && Array.isArray(thrown.errors);
}

/** `flow.ts:3:7: Expected ";" but found "x"`. Columns count from 1, as editors do. */
function located({ text, location }: Message, file: string): string {
  if (location === null) return `${basename(file)}: ${text}`;
  return `${location.file}:${String(location.line)}:${String(location.column + 1)}: ${text}`;
}

/** What the thread says. `frame` is a position in the bundle, 1-based. */
type Outcome =
  | { readonly kind: 'definition'; readonly json: string }
  | { readonly kind: 'no-default' }
  | { readonly kind: 'cyclic' }
  | { readonly kind: 'threw'; readonly message: string; readonly frame: readonly [line: number, column: number] | undefined }
  | { readonly kind: 'silent' }
  | { readonly kind: 'late' };

/** A module's top level declares things; what takes longer than this waits for something that will not come. */
const LOAD_MS_MAX = 5_000;

function readDefault(script: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const worker = new Worker(asDataUrl(READER), {
      workerData: { script: asDataUrl(script).href, mark: FUNCTION_MARK },
      // Loader hooks of this process (tsx, a test runner) have no business in the module.
      execArgv: [],
      stdout: true,
      stderr: true,
    });
    // What the module prints is for people; standard output belongs to results.
    worker.stdout.on('data', (chunk: Buffer) => process.stderr.write(chunk));
    worker.stderr.on('data', (chunk: Buffer) => process.stderr.write(chunk));
    const finish = (outcome: Outcome): void => {
      clearTimeout(timer);
      resolve(outcome);
      void worker.terminate();
    };
    const timer = setTimeout(() => {
      finish({ kind: 'late' });
    }, LOAD_MS_MAX);
    worker.on('message', (outcome: Outcome) => {
      finish(outcome);
    });
    worker.on('error', (thrown) => {
      finish({ kind: 'threw', message: firstLine(reasonOf(thrown)), frame: undefined });
    });
    worker.on('exit', () => {
      finish({ kind: 'silent' });
    });
  });
}

function asDataUrl(script: string): URL {
  return new URL(`data:text/javascript;base64,${Buffer.from(script).toString('base64')}`);
}

/** Keys of stand-ins begin with a character that no sane key begins with. */
const FUNCTION_MARK = '\u0001';

/** The thread's whole program. Functions cannot leave a thread, and JSON knows no NaN: both travel as marked objects. */
const READER = `
import { parentPort, workerData } from 'node:worker_threads';
const { script, mark } = workerData;
const say = (outcome) => parentPort.postMessage(outcome);
const firstFrame = (stack) => {
  const match = /data:text\\/javascript;base64,[A-Za-z0-9+/=]*:(\\d+):(\\d+)/.exec(stack ?? '');
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
};
const stand = (key, value) => {
  if (typeof value === 'function') return { [mark]: 'function' };
  if (typeof value === 'bigint' || typeof value === 'symbol') return { [mark]: typeof value };
  if (typeof value === 'number' && !Number.isFinite(value)) return { [mark]: 'number' };
  return value;
};
try {
  const module = await import(script);
  if (!('default' in module) || module.default === undefined) say({ kind: 'no-default' });
  else {
    let json;
    try {
      json = JSON.stringify(module.default, stand);
    } catch (thrown) {
      if (!(thrown instanceof TypeError || thrown instanceof RangeError)) throw thrown;
    }
    say(json === undefined ? { kind: 'cyclic' } : { kind: 'definition', json });
  }
} catch (thrown) {
  const isError = thrown instanceof Error;
  const text = isError ? (thrown.name + ': ' + thrown.message) : String(thrown);
  say({ kind: 'threw', message: text.split('\\n')[0], frame: isError ? firstFrame(thrown.stack) : undefined });
}
`;

/** `undefined` when it is nested deeper than the stack of this thread, which is smaller than that of the other. */
function revive(json: string): { readonly definition: unknown } | undefined {
  try {
    return { definition: JSON.parse(json, reviveOne) as unknown };
  } catch (thrown) {
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

function reviveOne(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !(FUNCTION_MARK in value)) return value;
  switch (value[FUNCTION_MARK]) {
    case 'function':
      return standIn;
    case 'number':
      return NaN;
    default:
      return Symbol('neither text, number, list nor mapping');
  }
}

/** Stands for every function of the module. The real one runs in the agents. */
function standIn(): void {
  throw new Error('assertion failed: a flow function runs in agents only');
}

function sentenceFor(outcome: Exclude<Outcome, { kind: 'definition' }>, script: string, file: string): string {
  switch (outcome.kind) {
    case 'no-default':
      return 'there is no default export; expected `export default defineScenario({ … })`';
    case 'cyclic':
      return 'the default export contains itself, or cannot be written as plain values';
    case 'silent':
      return 'the module ended the program while it loaded; expected it to export a scenario';
    case 'late':
      return `the module did not finish loading within ${String(LOAD_MS_MAX / 1000)} s`;
    case 'threw': {
      const where = outcome.frame === undefined ? basename(file) : original(script, outcome.frame, file);
      return `${where}: threw while it loaded: ${outcome.message}`;
    }
  }
}

/** `flow.ts:3:7` for a position in the bundle, by the bundle's own source map. */
function original(script: string, [line, column]: readonly [line: number, column: number], file: string): string {
  const encoded = /\/\/# sourceMappingURL=data:application\/json;base64,([A-Za-z0-9+/=]+)\s*$/.exec(script)?.[1];
  if (encoded === undefined) return basename(file);
  const map = new SourceMap(JSON.parse(Buffer.from(encoded, 'base64').toString()) as ConstructorParameters<typeof SourceMap>[0]);
  const entry = map.findEntry(line - 1, column - 1);
  if (!('originalSource' in entry)) return basename(file);
  return `${entry.originalSource}:${String(entry.originalLine + 1)}:${String(entry.originalColumn + 1)}`;
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
