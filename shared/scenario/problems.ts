import type { Problem } from '../base/index.ts';

/** Keys and positions from the top of the document down. */
export type Path = readonly (string | number)[];

/** How every part of the compiler says what is wrong, and goes on. */
export type Report = (path: Path, message: string) => void;

/** `line` of a path in the source, 1-based; `undefined` when the source has no lines to point at. */
export type LineOf = (path: Path) => number | undefined;

/** Problems shown at once: whoever has more of them has one cause, and a file of megabytes must not answer in megabytes. */
export const PROBLEMS_MAX = 100;

/** Collects every mistake of one file. The same mistake found twice (a shared default used by many steps) is said once. */
export class ProblemList {
  private readonly lineOf: LineOf;
  private readonly found = new Map<string, Problem>();
  private omitted = 0;

  constructor(lineOf: LineOf) {
    this.lineOf = lineOf;
  }

  readonly report: Report = (path, message) => {
    this.add(formatPath(path), oneLine(message), path);
  };

  /** A mistake that was not made in the document: `path` is the flag. */
  reportFlag(flag: string, message: string): void {
    this.add(flag, message, undefined);
  }

  /** In the order of the source; without lines, in the order of finding. */
  all(): readonly Problem[] {
    const sorted = [...this.found.values()].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
    if (this.omitted > 0) sorted.push({ path: '', message: `and ${String(this.omitted)} more problems` });
    return sorted;
  }

  private add(path: string, message: string, where: Path | undefined): void {
    const key = `${path}\n${message}`;
    if (this.found.has(key)) return;
    if (this.found.size >= PROBLEMS_MAX) {
      this.omitted++;
      return;
    }
    const line = where === undefined ? undefined : this.lineOf(where);
    this.found.set(key, line === undefined ? { path, message } : { path, line, message });
  }
}

/** `scenarios.browse.flow[0].check["json $.id"]`. */
export function formatPath(path: Path): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${String(key)}]`;
    else if (/^[\w-]+$/.test(key)) text += text === '' ? key : `.${key}`;
    else text += text === '' ? key : `[${JSON.stringify(key)}]`;
  }
  return text;
}

/** One line each: `file:line: path: message`. What a problem does not have is left out. */
export function formatProblems(file: string, problems: readonly Problem[]): string {
  return problems
    .map(({ path, line, message }) => {
      if (path.startsWith('--')) return `${path}: ${message}`;
      return `${file}${line === undefined ? '' : `:${String(line)}`}: ${path === '' ? '' : `${path}: `}${message}`;
    })
    .join('\n');
}

function oneLine(message: string): string {
  return message.replace(/\s*\n\s*/g, ' ').trim();
}
