/** The known word that `wrong` was probably meant to be, or `undefined` when none is close enough to be worth saying.
 *  Close: equal but for case, `_` and `-`; or at most one edit for every three letters begun (insert, delete, replace, swap of neighbours). */
export function closestTo(wrong: string, known: readonly string[]): string | undefined {
  if (wrong.length > WORD_LENGTH_MAX) return undefined;
  const folded = fold(wrong);
  const exact = known.find((word) => fold(word) === folded);
  if (exact !== undefined) return exact;
  let closest: string | undefined;
  let fewest = Math.ceil(wrong.length / 3) + 1;
  for (const word of known) {
    const edits = editDistance(folded, fold(word));
    if (edits < fewest) {
      fewest = edits;
      closest = word;
    }
  }
  return closest;
}

/** `; did you mean "rate"?`, or nothing when no known word is close. */
export function didYouMean(wrong: string, known: readonly string[]): string {
  const closest = closestTo(wrong, known);
  return closest === undefined ? '' : `; did you mean "${closest}"?`;
}

/** Nobody mistypes a word this long; comparing costs length squared. */
const WORD_LENGTH_MAX = 80;

function fold(word: string): string {
  return word.toLowerCase().replace(/[_-]/g, '');
}

/** Optimal string alignment distance, by rows (Damerau 1964, restricted to adjacent swaps). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (before[j - 2] ?? 0) + 1);
      row.push(best);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length] ?? 0;
}
