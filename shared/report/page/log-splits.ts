/** Round values of a logarithmic axis between `min` and `max`, about `wanted` of them: 1-2-5 where there is room, else decades. */
export function logSplits(min: number, max: number, wanted: number): number[] {
  if (!(min > 0) || !(max > min)) return [];
  const from = Math.floor(Math.log10(min));
  const to = Math.ceil(Math.log10(max));
  const within = (digits: readonly number[], decades: number): number[] => {
    const found: number[] = [];
    for (let decade = from; decade <= to; decade++) {
      if ((decade - from) % decades !== 0) continue;
      for (const digit of digits) {
        const value = Number((digit * 10 ** decade).toPrecision(3));
        if (value >= min && value <= max) found.push(value);
      }
    }
    return found;
  };
  const choices = [
    within([1, 1.5, 2, 3, 4, 5, 6, 8], 1),
    within([1, 2, 3, 5], 1),
    within([1, 2, 5], 1),
    within([1, 3], 1),
    within([1], 1),
    within([1], 2),
    within([1], 3),
  ];
  return choices.find((splits) => splits.length <= Math.max(3, wanted)) ?? [];
}
