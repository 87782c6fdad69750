import { reasonOf } from '../base/index.ts';

/** `/pattern/flags` taken apart; `undefined` when `text` is not written so. */
export function parseRegex(text: string): { readonly pattern: string; readonly flags: string } | { readonly problem: string } | undefined {
  const match = /^\/(.+)\/([A-Za-z]*)$/s.exec(text);
  if (match === null) return undefined;
  const [, pattern = '', flags = ''] = match;
  // `g` and `y` would make the outcome depend on the response before.
  if (!/^[imsu]*$/.test(flags)) return { problem: `the flags of a pattern are i, m, s and u, got "${flags}"` };
  try {
    new RegExp(pattern, flags);
  } catch (thrown) {
    // A syntax error is the only thing that making a RegExp throws.
    return { problem: `not a legal pattern: ${reasonOf(thrown).replace(/^Invalid regular expression: /, '')}` };
  }
  return { pattern, flags };
}
