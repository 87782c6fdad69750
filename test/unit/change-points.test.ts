import { describe, expect, test } from 'vitest';
import { changePoints } from '../../shared/report/trend/change-points.ts';

describe('change points', () => {
  test('one change of level is found where it is, and is unlikely to be chance', () => {
    const values = [...noise(12, 1), ...noise(12, 2).map((value) => value + 5)];
    const [only, ...more] = changePoints(values);
    expect([only?.index, more]).toEqual([12, []]);
    expect(only?.p).toBeLessThanOrEqual(0.01);
  });

  test('two changes are found, also when the level comes back', () => {
    const values = [...noise(15, 3), ...noise(20, 4).map((value) => value + 6), ...noise(25, 5)];
    expect(changePoints(values).map(({ index }) => index)).toEqual([15, 35]);
  });

  test('noise without a change is left alone nearly always', () => {
    const seeds = Array.from({ length: 100 }, (_, seed) => seed + 100);
    const alarms = seeds.filter((seed) => changePoints(noise(20, seed)).length > 0).length;
    // At 1 % two of a hundred are nothing remarkable, six would be.
    expect(alarms).toBeLessThanOrEqual(5);
  });

  test.each([
    ['nothing', []],
    ['one value', [1]],
    ['equal values', Array.from({ length: 30 }, () => 7)],
    ['too few to tell chance from change', [1, 1, 1, 9, 9, 9]],
    ['a single outlier', [...noise(10, 8), 60, ...noise(10, 9)]],
  ])('%s has no change', (_, values) => {
    expect(changePoints(values)).toEqual([]);
  });

  test('equal series get equal answers', () => {
    const values = [...noise(10, 1), ...noise(10, 2).map((value) => value + 3)];
    expect(changePoints(values)).toEqual(changePoints([...values]));
  });

  test('a series that would take too long is refused', () => {
    expect(() => changePoints(noise(301, 1))).toThrow(RangeError);
  });
});

/** Normal values around 10 with a deviation of about 1, always the same for a seed. */
function noise(count: number, seed: number): number[] {
  let state = (seed * 2_654_435_761) >>> 0;
  const uniform = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return Array.from({ length: count }, () => 10 + Array.from({ length: 12 }, uniform).reduce((sum, value) => sum + value, -6));
}
