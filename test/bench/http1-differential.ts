/** Compares our HTTP/1.1 client with Node's own over generated exchanges: `npm run differential [-- EXCHANGES [SEED]]`. */
import { compareClients } from '../support/http1-differential.ts';

const BATCH = 10_000;
const total = Number(process.argv[2] ?? 200_000);
const seed = Number(process.argv[3] ?? 1);

let unintended = 0;
let hung = 0;
const intended: Record<string, number> = {};
const outcomes = { response: 0, illegal: 0, cut: 0, hung: 0 };
for (let from = 0; from < total; from += BATCH) {
  const result = await compareClients(seed, from, Math.min(BATCH, total - from));
  unintended += result.unintendedCount;
  hung += result.hung;
  for (const [name, count] of Object.entries(result.intended)) intended[name] = (intended[name] ?? 0) + count;
  for (const kind of ['response', 'illegal', 'cut', 'hung'] as const) outcomes[kind] += result.outcomes[kind];
  for (const difference of result.unintended) {
    process.stdout.write(
      `${JSON.stringify(difference, (_, value: unknown) => (typeof value === 'string' && value.length > 600 ? `${value.slice(0, 600)}…` : value))}\n`,
    );
  }
}
process.stdout.write(`${JSON.stringify({ seed, exchanges: total, alike: outcomes, intended, unintended, hung }, undefined, 2)}\n`);
process.exitCode = unintended + hung === 0 ? 0 : 1;
