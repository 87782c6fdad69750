import { describe, expect, test } from 'vitest';
import { LiveControl, type LiveChange } from '../../coordinator/live-control.ts';
import type { Epoch } from '../../shared/plan/index.ts';
import { oneEpoch, openScenario } from '../support/plans.ts';

describe('a change of the load in mid-run', () => {
  test('is refused while an agent that makes load cannot be told of it, and made when it can', () => {
    const { control, epochs, told, missing } = arranged();
    missing.why = 'agent b cannot be told (its connection broke)';
    for (const change of [() => control.scale({ ratePerSecond: 5 }), () => control.pause()])
      expect(change).toThrow(
        'agent b cannot be told (its connection broke): all agents change at one instant, so try again when it is back or lost',
      );
    expect([epochs.length, told]).toEqual([1, []]);
    missing.why = undefined;
    expect(control.scale({ ratePerSecond: 5 })).toEqual({ atUs: 3_000_000, change: 'browse: 5/s with up to 10 VUs' });
    expect([epochs.length, told.length]).toEqual([2, 1]);
  });
});

function arranged() {
  const epochs: Epoch[] = [...oneEpoch('a', 'b')];
  const told: LiveChange[] = [];
  const missing: { why: string | undefined } = { why: undefined };
  const control = new LiveControl({
    plan: { name: 'p', seed: 1, intervalMs: 1_000, scenarios: [openScenario({ ratePerSecond: 10, seconds: 10 })] },
    epochs: {
      all: epochs,
      append: (fromUs, parts) => {
        const epoch = { number: epochs.length, fromUs, owners: ['a', 'b'], ...parts };
        epochs.push(epoch);
        return epoch;
      },
    },
    soonestUs: () => 3_000_000,
    unreachable: () => missing.why,
    overFromUs: () => Infinity,
    tell: (_, detail) => told.push(detail),
  });
  return { control, epochs, told, missing };
}
