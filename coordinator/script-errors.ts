import type { Finished } from '../shared/wire/index.ts';

/** Distinct errors of scenario code that are told; of more only the number. */
const TOLD_MAX = 5;

/** What scenario code threw on all agents, the most frequent first, in one line: `Error: no stock (shop.ts:9:7), 12 times; …`.
 *  `undefined` when nothing was thrown. */
export function describeScriptErrors(parts: readonly Pick<Finished, 'thrown' | 'scriptErrors'>[]): string | undefined {
  const counts = new Map<string, number>();
  for (const { message, count } of parts.flatMap(({ thrown }) => thrown)) counts.set(message, (counts.get(message) ?? 0) + count);
  const total = parts.reduce((sum, { scriptErrors }) => sum + scriptErrors, 0);
  if (total === 0) return undefined;
  const told = [...counts].sort(([, a], [, b]) => b - a).slice(0, TOLD_MAX);
  const rest = total - told.reduce((sum, [, count]) => sum + count, 0);
  const sentences = told.map(([message, count]) => `${message}, ${times(count)}`);
  return [...sentences, ...(rest > 0 ? [`other errors, ${times(rest)}`] : [])].join('; ');
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
