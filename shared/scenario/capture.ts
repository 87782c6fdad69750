import { didYouMean } from '../base/index.ts';
import { JSON_PATH, parseJsonPath, type Capture } from '../plan/index.ts';
import { splitWord } from './check.ts';
import { describe } from './describe.ts';
import { parseRegex } from './regex.ts';
import { RESERVED_NAMES } from './scope.ts';

/** One entry of a `capture` mapping, or one sentence that says what is wrong with it. */
export function parseCapture(name: string, source: string): Capture | { readonly problem: string } {
  if (!/^[A-Za-z_]\w*$/.test(name) || RESERVED_NAMES.includes(name)) {
    return { problem: `a capture is named by letters, digits and _, not beginning with a digit; ${RESERVED_NAMES.join(', ')} are taken` };
  }
  const [word, rest] = splitWord(source);
  switch (word) {
    case 'json': {
      const path = parseJsonPath(rest);
      return path === undefined ? no(`"json" and ${JSON_PATH}`, source) : { name, from: { kind: 'json', path } };
    }
    case 'header':
      return /^[^\s:]+$/.test(rest) ? { name, from: { kind: 'header', name: rest.toLowerCase() } } : no('"header NAME"', source);
    case 'regex': {
      const regex = parseRegex(rest);
      if (regex === undefined) return no('"regex /pattern/"', source);
      return 'problem' in regex ? regex : { name, from: { kind: 'regex', ...regex } };
    }
    default:
      return no(`"json $.path", "header NAME" or "regex /pattern/"`, source, didYouMean(word, ['json', 'header', 'regex']));
  }
}

function no(what: string, got: string, hint = ''): { readonly problem: string } {
  return { problem: `expected ${what}, got ${describe(got)}${hint}` };
}
