import { hash32, seedFor, type RowSet } from '../../shared/plan/index.ts';

/** Every row by column, frozen and made once for each data set: all VUs share it. */
export function allRows(set: RowSet): readonly Readonly<Record<string, string>>[] {
  let rows = made.get(set);
  if (rows === undefined) {
    rows = Object.freeze(set.rows.map((row) => Object.freeze(Object.fromEntries(set.columns.map((column, i) => [column, row[i] ?? ''])))));
    made.set(set, rows);
  }
  return rows;
}

const made = new WeakMap<RowSet, readonly Readonly<Record<string, string>>[]>();

/** The row of a data set that iteration `index` uses. Every agent computes the same row for the same index, so over the whole cluster
 *  `unique` and `sequential` use each row once before any is used again. */
export function rowFor(set: RowSet, name: string, seed: number, index: number): readonly string[] {
  const { length } = set.rows;
  const at = set.order === 'random' ? hash32(seedFor(seed, name), index) % length : index % length;
  return set.rows[at] ?? [];
}
