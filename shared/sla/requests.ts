import { isPartOfTotals, type Series } from '../stats/index.ts';

/** How many requests the load sent (its clean-up is no part of it) and how many of them got a response, good or bad: those whose `status` is not 0. */
export function countRequests(totals: Iterable<Series>): { readonly sent: number; readonly answered: number } {
  let sent = 0;
  let answered = 0;
  for (const { metric, tags, value } of totals) {
    if (metric !== 'http_reqs' || value.kind !== 'counter' || !isPartOfTotals(tags)) continue;
    sent += value.count;
    const { status } = tags;
    // A series past the cap carries no status; then a request without an error is one that was answered.
    if (status === undefined ? tags['error'] === undefined : status !== '0') answered += value.count;
  }
  return { sent, answered };
}
