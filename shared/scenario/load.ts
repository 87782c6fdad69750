import { basename, extname } from 'node:path';
import { AppError, SCENARIO_BYTES_MAX, type Problem } from '../base/index.ts';
import { compileDocument, type Compiled } from './compile.ts';
import { loadDataSets } from './data-set.ts';
import { isMapping } from './describe.ts';
import type { LargeFile } from './file-parts.ts';
import { loadModuleSource } from './module-source.ts';
import type { ScenarioOverrides } from './overrides.ts';
import { ProblemList, type LineOf } from './problems.ts';
import { readTextFile } from './source-file.ts';
import { loadTlsFiles } from './tls-files.ts';
import { loadUploads } from './uploads.ts';
import { parseYamlSource } from './yaml-source.ts';

export interface CompiledScenario extends Compiled {
  /** The file's text, for the run bundle. */
  readonly source: string;
  /** To be sent to the agents beside the workload. */
  readonly largeFiles: readonly LargeFile[];
}

/** Reads, checks and compiles a scenario file: YAML (.yaml, .yml) or a module (.ts, .mts, .js, .mjs).
 *  Throws `AppError('SCENARIO_INVALID')` with every problem of the file at once. */
export async function loadScenario(file: string, overrides: ScenarioOverrides): Promise<CompiledScenario> {
  const kind = kindOf(file);
  if (kind === undefined) throw invalid(file, [{ path: '', message: 'a scenario file ends in .yaml, .yml, .ts, .mts, .js or .mjs' }]);
  const read = await readTextFile(file, SCENARIO_BYTES_MAX);
  if ('problem' in read) throw invalid(file, [{ path: '', message: read.problem }]);
  const parsed = kind === 'yaml' ? parseYaml(read.text) : await parseModule(file);
  if (parsed.problems.length > 0) throw invalid(file, parsed.problems);
  const problems = new ProblemList(parsed.lineOf);
  const rows = await loadDataSets(isMapping(parsed.document) ? parsed.document['data'] : undefined, file, problems.report);
  const tlsFiles = await loadTlsFiles(isMapping(parsed.document) ? parsed.document['http'] : undefined, file, problems.report);
  const { uploads, largeFiles } = await loadUploads(parsed.document, file, problems.report);
  const { document, script, warnings } = parsed;
  const fallbackName = basename(file, extname(file));
  const compiled = compileDocument({ document, script, fallbackName, rows, tlsFiles, uploads }, overrides, problems);
  const found = problems.all();
  if (found.length > 0) throw invalid(file, found);
  return { ...compiled, warnings: [...warnings, ...compiled.warnings], source: read.text, largeFiles };
}

interface Parsed {
  readonly document: unknown;
  readonly lineOf: LineOf;
  readonly script: string | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

function kindOf(file: string): 'yaml' | 'module' | undefined {
  switch (extname(file).toLowerCase()) {
    case '.yaml':
    case '.yml':
      return 'yaml';
    case '.ts':
    case '.mts':
    case '.js':
    case '.mjs':
      return 'module';
    default:
      return undefined;
  }
}

function parseYaml(text: string): Parsed {
  return { ...parseYamlSource(text), script: undefined, warnings: [] };
}

async function parseModule(file: string): Promise<Parsed> {
  const { definition, script, problems, warnings } = await loadModuleSource(file);
  return { document: definition, lineOf: () => undefined, script, problems, warnings };
}

function invalid(file: string, problems: readonly Problem[]): AppError {
  const count = problems.length === 1 ? '1 problem' : `${String(problems.length)} problems`;
  return new AppError('SCENARIO_INVALID', `${file} is not a valid scenario: ${count}`, { problems });
}
