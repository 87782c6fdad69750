import { isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, parseDocument, visit, type Document } from 'yaml';
import { reasonOf, type Problem } from '../base/index.ts';
import type { LineOf } from './problems.ts';

export interface YamlSource {
  /** `undefined` when there are problems. */
  readonly document: unknown;
  readonly lineOf: LineOf;
  readonly problems: readonly Problem[];
}

/** Reads YAML 1.2 and remembers where everything stood. Duplicate keys, unknown tags and alias bombs are problems, never throws. */
export function parseYamlSource(text: string): YamlSource {
  const lines = new LineCounter();
  const deepLine = lineNestedTooDeeply(text);
  if (deepLine !== undefined) {
    const problem = { path: '', line: deepLine, message: `nested or indented too deeply: at most ${String(NESTING_MAX)} deep` };
    return { document: undefined, lineOf: () => undefined, problems: [problem] };
  }
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, strict: true, logLevel: 'error' });
    const problems = [...document.errors, ...document.warnings].slice(0, SYNTAX_PROBLEMS_MAX).map((error): Problem => {
      return { path: '', line: lines.linePos(error.pos[0]).line, message: plain(error.code, error.message) };
    });
    if (problems.length === 0) problems.push(...duplicateKeys(document, lines));
    const lineOf: LineOf = (path) => lineOfPath(document, path, lines);
    if (problems.length > 0) return { document: undefined, lineOf, problems };
    return { document: document.toJS({ maxAliasCount: ALIASES_MAX }) as unknown, lineOf, problems };
  } catch (thrown) {
    return { document: undefined, lineOf: () => undefined, problems: [{ path: '', message: whyRefused(thrown) }] };
  }
}

/** Copies that aliases may ask for. A bomb of a kilobyte would otherwise unfold to gigabytes. */
const ALIASES_MAX = 100;

/** After the first mistakes of syntax the rest are echoes. */
const SYNTAX_PROBLEMS_MAX = 10;

/** Brackets within brackets, and columns of block indentation. The parser recurses, and a stack that runs out within V8's regular
 *  expression compiler ends the whole process, so depth is bounded before it is called. */
const NESTING_MAX = 200;

/** The first line that nests deeper than the bound. Lexing is a loop, and safe at any depth. */
function lineNestedTooDeeply(text: string): number | undefined {
  let line = 1;
  let depth = 0;
  let previous = '';
  for (const token of new Lexer().lex(text)) {
    // The token before a scalar announces it; what looks like a bracket then is text.
    const isText = previous === SCALAR_FOLLOWS;
    if (!isText && (token === '[' || token === '{')) depth++;
    if (!isText && (token === ']' || token === '}')) depth = Math.max(0, depth - 1);
    if (depth > NESTING_MAX) return line;
    for (let at = token.indexOf('\n'); at >= 0; at = token.indexOf('\n', at + 1)) line++;
    previous = token;
  }
  const lines = text.split('\n');
  const deep = lines.findIndex((content) => (/^[ \t]*(?:[-?][ \t]+)*/.exec(content)?.[0].length ?? 0) > NESTING_MAX);
  return deep < 0 ? undefined : deep + 1;
}

/** How the lexer marks that the next token is a scalar. */
const SCALAR_FOLLOWS = '\u001f';

/** The parser's own check compares every key with every other, which takes minutes for a large mapping. */
function duplicateKeys(document: Document.Parsed, lines: LineCounter): Problem[] {
  const problems: Problem[] = [];
  visit(document, {
    Map: (_, map) => {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (seen.has(name) && problems.length < SYNTAX_PROBLEMS_MAX) {
          problems.push({
            path: '',
            line: lines.linePos(key.range?.[0] ?? 0).line,
            message: `the key "${name}" stands twice in the same mapping`,
          });
        }
        seen.add(name);
      }
    },
  });
  return problems;
}

function plain(code: string, message: string): string {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'YAML is indented with spaces, not with tabs';
    case 'MULTIPLE_DOCS':
      return 'expected one YAML document in the file, got several';
    default:
      return `not legal YAML: ${message.split('\n')[0] ?? ''}`;
  }
}

function whyRefused(thrown: unknown): string {
  if (thrown instanceof RangeError) return 'the document is nested too deeply';
  const unresolved = /^Unresolved alias.*: (.+)$/.exec(reasonOf(thrown))?.[1];
  if (unresolved !== undefined) return `the alias *${unresolved} has no anchor &${unresolved} before it`;
  if (thrown instanceof ReferenceError) return `aliases unfold to too much: at most ${String(ALIASES_MAX)} copies are made`;
  return `not legal YAML: ${reasonOf(thrown).split('\n')[0] ?? ''}`;
}

/** The line of the key, or of the list item, at `path`; of its nearest parent when it does not stand in the source. */
function lineOfPath(document: Document.Parsed, path: readonly (string | number)[], lines: LineCounter): number | undefined {
  let node: unknown = document.contents;
  let offset = document.contents?.range[0];
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      if (pair === undefined) break;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof key === 'number') {
      const item: unknown = node.items[key];
      if (item === undefined) break;
      offset = rangeStart(item) ?? offset;
      node = item;
    } else break;
  }
  return offset === undefined ? undefined : lines.linePos(offset).line;
}

function rangeStart(node: unknown): number | undefined {
  return isMap(node) || isSeq(node) || isScalar(node) || isAlias(node) ? node.range?.[0] : undefined;
}
