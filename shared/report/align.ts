import { addValue, seriesKey, type Series } from '../stats/index.ts';
import type { Interval } from './read-intervals.ts';

/** Gives one interval after another, and `undefined` at the end. */
export type NextInterval = () => Promise<Interval | undefined>;

/** Intervals of several sources side by side: those with the same index are added, as the coordinator adds agents. Every source keeps its
 *  order, and one interval of each is held. Law: the sum over the result is the sum over the sources, series by series. */
export async function* alignIntervals(sources: readonly NextInterval[]): AsyncGenerator<Interval> {
  const heads = await Promise.all(sources.map(async (next) => ({ next, interval: await next() })));
  for (;;) {
    const index = Math.min(...heads.map(({ interval }) => interval?.index ?? Infinity));
    if (index === Infinity) return;
    const meeting: Interval[] = [];
    for (const head of heads) {
      if (head.interval?.index !== index) continue;
      meeting.push(head.interval);
      head.interval = await head.next();
    }
    yield addIntervals(meeting);
  }
}

function addIntervals(meeting: readonly Interval[]): Interval {
  const [first, ...rest] = meeting;
  if (first === undefined) throw new RangeError('no interval to add');
  if (rest.length === 0) return first;
  const sums = new Map<string, Series>();
  let { fromIndex, startUs } = first;
  for (const interval of meeting) {
    fromIndex = Math.min(fromIndex, interval.fromIndex);
    startUs = Math.min(startUs, interval.startUs);
    for (const one of interval.series) {
      const key = seriesKey(one.metric, one.tags);
      const sum = sums.get(key);
      if (sum === undefined) sums.set(key, one);
      else addValue(sum.value, one.value);
    }
  }
  return { index: first.index, fromIndex, startUs, lengthUs: first.lengthUs, series: [...sums.values()] };
}
