import { dirname, extname, resolve } from 'node:path';
import { parse } from 'csv-parse/sync';
import { reasonOf, WORKLOAD_BYTES_MAX } from '../base/index.ts';
import type { RowSet } from '../plan/index.ts';
import { describe, isMapping, isScalar } from './describe.ts';
import type { Report } from './problems.ts';
import { dataSetSchema } from './schema.ts';
import { RESERVED_NAMES } from './scope.ts';
import { readTextFile } from './source-file.ts';

/** Every data set of the file by name; `undefined` for one that could not be read, after saying why. */
export async function loadDataSets(
  definition: unknown,
  scenarioFile: string,
  report: Report,
): Promise<ReadonlyMap<string, RowSet | undefined>> {
  const sets = new Map<string, RowSet | undefined>();
  if (!isMapping(definition)) return sets;
  for (const [name, raw] of Object.entries(definition)) {
    if (!/^[A-Za-z][\w-]*$/.test(name) || RESERVED_NAMES.includes(name)) {
      report(['data', name], `a data set is named by a letter, then letters, digits, _ or -; ${RESERVED_NAMES.join(', ')} are taken`);
    }
    const set = dataSetSchema.safeParse(raw);
    if (!set.success) {
      sets.set(name, undefined);
      continue;
    }
    const { file, order = 'sequential', whenExhausted } = set.data;
    if (whenExhausted !== undefined && order !== 'unique')
      report(['data', name, 'whenExhausted'], `it is for order: unique; ${order} rows are never used up`);
    const rows = await loadDataSet(file, order, scenarioFile, name, report);
    const endsScenario = order === 'unique' && whenExhausted !== 'recycle';
    sets.set(name, rows !== undefined && endsScenario ? { ...rows, endsScenario: true } : rows);
  }
  return sets;
}

async function loadDataSet(
  file: string,
  order: RowSet['order'],
  scenarioFile: string,
  name: string,
  report: Report,
): Promise<RowSet | undefined> {
  const path = ['data', name, 'file'];
  const read = await readTextFile(resolve(dirname(scenarioFile), file), WORKLOAD_BYTES_MAX);
  const table = 'problem' in read ? read : readTable(file, read.text);
  if ('problem' in table) {
    report(path, `${file}: ${table.problem}`);
    return undefined;
  }
  const [columns, rows] = table.table;
  const unfit = columns.find((column, i) => column === '' || columns.indexOf(column) !== i);
  if (unfit !== undefined) {
    report(path, `${file}: ${unfit === '' ? 'a column has no name' : `the column "${unfit}" stands twice`}`);
    return undefined;
  }
  if (rows.length === 0) {
    report(path, `${file}: there are no rows${extname(file) === '.json' ? '' : ' below the header'}`);
    return undefined;
  }
  return { order, columns, rows };
}

type Table = { readonly table: readonly [columns: readonly string[], rows: readonly (readonly string[])[]] } | { readonly problem: string };

function readTable(file: string, text: string): Table {
  switch (extname(file).toLowerCase()) {
    case '.csv':
      return readCsv(text);
    case '.json':
      return readJson(text);
    default:
      return { problem: 'expected a .csv or a .json file' };
  }
}

function readCsv(text: string): Table {
  try {
    const records: string[][] = parse(text, { bom: true, skip_empty_lines: true, relax_column_count: false });
    const [header = [], ...rows] = records;
    return { table: [header.map((column) => column.trim()), rows] };
  } catch (thrown) {
    // What csv-parse throws names what is wrong and the line in the file.
    return { problem: `not legal CSV: ${reasonOf(thrown).split('\n')[0] ?? ''}` };
  }
}

function readJson(text: string): Table {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (thrown) {
    return { problem: `not legal JSON: ${reasonOf(thrown).split('\n')[0] ?? ''}` };
  }
  if (!Array.isArray(list)) return { problem: `expected a list of objects, got ${describe(list)}` };
  const objects: unknown[] = list;
  const columns = [...new Set(objects.flatMap((row) => (isMapping(row) ? Object.keys(row) : [])))];
  const rows: string[][] = [];
  for (const [i, row] of objects.entries()) {
    if (!isMapping(row)) return { problem: `row ${String(i + 1)}: expected an object, got ${describe(row)}` };
    const cells: string[] = [];
    for (const column of columns) {
      const cell = Object.hasOwn(row, column) ? row[column] : undefined;
      if (cell === undefined) return { problem: `row ${String(i + 1)} has no "${column}", which other rows have` };
      if (cell !== null && !isScalar(cell))
        return { problem: `row ${String(i + 1)}, "${column}": expected text, a number or true/false, got ${describe(cell)}` };
      cells.push(cell === null ? '' : String(cell));
    }
    rows.push(cells);
  }
  return { table: [columns, rows] };
}
