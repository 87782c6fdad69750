import { AppError, reasonOf } from '../base/index.ts';
import type { AgentLine, ClosedLine, SeriesLine } from './interval-lines.ts';

export type ResultLine = SeriesLine | AgentLine | ClosedLine;

/** Reads the lines of an `intervals.ndjson`. Throws `BUNDLE_INVALID` with the line number and what was expected there. */
export async function* parseResultLines(lines: AsyncIterable<string>, where = 'intervals.ndjson'): AsyncGenerator<ResultLine> {
  let number = 0;
  for await (const line of lines) {
    number++;
    if (line === '') continue;
    try {
      yield parseLine(JSON.parse(line));
    } catch (cause) {
      throw new AppError('BUNDLE_INVALID', `${where}: line ${number}: ${reasonOf(cause)}`, { cause });
    }
  }
}

function parseLine(line: unknown): ResultLine {
  if (!isRecord(line)) throw new TypeError('expected one JSON object');
  if (line['series'] !== undefined) {
    rows(line, 'series', (row) => {
      const [number, metric, kind, tags] = row;
      return isCount(number) && typeof metric === 'string' && KINDS.includes(kind) && isRecord(tags) && Object.values(tags).every(isText);
    });
    return line as unknown as SeriesLine;
  }
  if (line['closed'] !== undefined) {
    if (!isCount(line['closed'])) throw new TypeError('closed: expected the index of an interval');
    rows(line, 'trends', (row) => row.length === 6 && row.every(isNumber));
    return line as unknown as ClosedLine;
  }
  if (typeof line['agent'] !== 'string') throw new TypeError('expected a line with agent, closed or series');
  if (!isCount(line['intervalIndex'])) throw new TypeError('intervalIndex: expected a whole number');
  if (!isCount(line['intervalCount']) || line['intervalCount'] === 0) throw new TypeError('intervalCount: expected a whole number above 0');
  if (!Array.isArray(line['ledgers'])) throw new TypeError('ledgers: expected an array');
  if (!isRecord(line['health'])) throw new TypeError('health: expected an object');
  rows(line, 'counters', (row) => row.length === 2 && row.every(isNumber));
  rows(line, 'rates', (row) => row.length === 3 && row.every(isNumber));
  rows(line, 'gauges', (row) => row.length >= 4 && row.every(isNumber));
  // What is not checked, the parts of ledgers and health, is only ever shown.
  return line as unknown as AgentLine;
}

const KINDS: readonly unknown[] = ['trend', 'counter', 'rate', 'gauge'];

function rows(line: Readonly<Record<string, unknown>>, name: string, isRight: (row: readonly unknown[]) => boolean): void {
  const list = line[name];
  if (list === undefined) return;
  if (!Array.isArray(list)) throw new TypeError(`${name}: expected an array`);
  const wrong = list.findIndex((row) => !Array.isArray(row) || !isRight(row));
  if (wrong >= 0) throw new TypeError(`${name}[${wrong}]: expected another shape, got ${JSON.stringify(list[wrong])}`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number';
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
