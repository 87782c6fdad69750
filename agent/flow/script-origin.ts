import { SourceMap } from 'node:module';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the lines of a scenario's bundle come from: tells the author's stack frames from ours, and names them as the author knows them. */
export class ScriptOrigin {
  private readonly bundle: string;
  private readonly map: SourceMap | undefined;
  /** By the path that stands in stack traces: the path from the folder of the scenario file. */
  private readonly names: ReadonlyMap<string, string>;

  /** `file`: where the bundle `script` was loaded from, an absolute path. */
  constructor(file: string, script: string) {
    const payload = inlineMap(script);
    this.bundle = file;
    this.map = payload === undefined ? undefined : new SourceMap(payload);
    // The runtime resolves a map's sources against the place of the bundle, wherever they really are.
    const sources = (payload?.sources ?? []).map((source) => [resolve(dirname(file), source), source] as const);
    this.names = new Map([...sources, [file, 'scenario.mjs']]);
  }

  /** `checkout.ts:12:7`, the innermost frame of `stack` that is the author's; `undefined` when none is. */
  placeOf(stack: string): string | undefined {
    for (const { path, line, column } of framesOf(stack)) {
      const name = this.names.get(path);
      if (name !== undefined) return `${name}:${line}:${column}`;
    }
    return undefined;
  }

  /** The same for a position in the bundle itself, 0-based; `undefined` when `url` is another file. */
  placeInBundle(url: string, line: number, column: number): string | undefined {
    if (pathOf(url) !== this.bundle) return undefined;
    const entry = this.map?.findEntry(line, column);
    if (entry === undefined || !('originalSource' in entry)) return `scenario.mjs:${line + 1}:${column + 1}`;
    return `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  }
}

/** The files of a stack trace that are no part of the runtime, innermost first. */
export function filesOf(stack: string): string[] {
  return framesOf(stack).map(({ path }) => path);
}

interface Frame {
  readonly path: string;
  readonly line: number;
  readonly column: number;
}

const FRAME = /^\s+at (?:.*\()?((?:file:\/\/)?\/[^()]*):(\d+):(\d+)\)?$/;

function framesOf(stack: string): Frame[] {
  return stack.split('\n').flatMap((text) => {
    const match = FRAME.exec(text);
    return match === null ? [] : [{ path: pathOf(match[1] ?? ''), line: Number(match[2]), column: Number(match[3]) }];
  });
}

function pathOf(url: string): string {
  return url.startsWith('file://') ? fileURLToPath(url) : url;
}

const MAP_COMMENT = '//# sourceMappingURL=data:application/json;base64,';

function inlineMap(script: string): ConstructorParameters<typeof SourceMap>[0] | undefined {
  const at = script.lastIndexOf(MAP_COMMENT);
  if (at < 0) return undefined;
  const encoded = script.slice(at + MAP_COMMENT.length).trimEnd();
  return JSON.parse(Buffer.from(encoded, 'base64').toString()) as ConstructorParameters<typeof SourceMap>[0];
}
