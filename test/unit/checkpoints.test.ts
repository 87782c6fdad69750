import { mkdtempSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Checkpoints, readCheckpoint, type Checkpoint } from '../../coordinator/checkpoint.ts';
import { createLog } from '../../shared/base/index.ts';
import { FakeClock } from '../support/fake-clock.ts';

const LOG = createLog('test', 'silent');
const SAVED: Checkpoint['collector'] = {
  rollup: { totals: [], incarnations: [], open: [], merged: 0, duplicates: 0 },
  thresholds: { aborting: -1, windows: [] },
  health: [],
  closedBefore: 0,
  refused: [],
};

const dir = mkdtempSync(join(tmpdir(), 'muster-checkpoints-'));
afterAll(() => rm(dir, { recursive: true, force: true }));

describe('checkpoints', () => {
  test('are made every two seconds, each with the place in the stream and in the files that it was made at', async () => {
    const { checkpoints, advance, written } = arranged({});
    for (let half = 1; half <= 10; half++) {
      checkpoints.took(half);
      await advance(500);
    }
    expect(written.map(({ sequence, bundle }) => [sequence, bundle.hlogBytes])).toEqual([
      [4, 4],
      [8, 8],
    ]);
    expect(checkpoints.position).toEqual({ sequence: 10, bundle: { hlogBytes: 10, ndjsonBytes: 10 } });
  });

  test('that cost much are made less often: at most a hundredth of the time goes into them', async () => {
    const { advance, written } = arranged({ costMs: 100 });
    for (let second = 0; second < 60; second++) await advance(1_000);
    expect(written.length).toBeGreaterThan(3);
    expect(written.length * 0.1).toBeLessThanOrEqual(0.01 * 60 + 0.1);
  });

  test('come one at a time, and one that cannot be written leaves the next to its time', async () => {
    const { advance, written, fail } = arranged({});
    fail();
    await advance(2_000);
    expect(written).toEqual([]);
    await advance(1_900);
    expect(written).toEqual([]);
    await advance(100);
    expect(written).toHaveLength(1);
  });

  test('let the stream drop what the newest of them holds, once a minute', async () => {
    const { checkpoints, advance, dropped } = arranged({});
    for (let second = 1; second <= 130; second++) {
      checkpoints.took(second);
      await advance(1_000);
    }
    expect(dropped).toEqual([60, 120]);
  });

  test('that are of another run, of another version or no JSON are not read, and none is none', async () => {
    expect(await readCheckpoint(dir, 'run-1', LOG)).toBeUndefined();
    for (const text of ['{"schemaVersion":1,"runId":"run-2"}', '{"schemaVersion":9,"runId":"run-1"}', '{"schemaVer']) {
      await writeFile(join(dir, 'checkpoint.json'), text);
      expect(await readCheckpoint(dir, 'run-1', LOG), text).toBeUndefined();
    }
    await writeFile(join(dir, 'checkpoint.json'), '{"schemaVersion":1,"runId":"run-1","sequence":4}');
    expect(await readCheckpoint(dir, 'run-1', LOG)).toMatchObject({ sequence: 4 });
  });
});

function arranged({ costMs = 0 }: { readonly costMs?: number }) {
  let costsUs = 0;
  const own = new FakeClock();
  const clock = { nowUs: () => own.nowUs() + costsUs, sleep: (ms: number) => own.sleep(ms) };
  const written: Checkpoint[] = [];
  const dropped: number[] = [];
  let failures = 0;
  let bytes = 0;
  const bundle = {
    get position() {
      return { hlogBytes: bytes, ndjsonBytes: bytes };
    },
    writeCheckpoint: (text: string): Promise<void> => {
      if (failures-- > 0) return Promise.reject(new Error('the disk is full'));
      written.push(JSON.parse(text) as Checkpoint);
      return Promise.resolve();
    },
  };
  const save = (): Checkpoint['collector'] => {
    costsUs += costMs * 1_000;
    return SAVED;
  };
  const drop = (sequence: number): Promise<void> => {
    dropped.push(sequence);
    return Promise.resolve();
  };
  const checkpoints = new Checkpoints({ runId: 'run-1', bundle, collector: { save }, drop, clock, log: LOG }, 0);
  const advance = async (ms: number): Promise<void> => {
    bytes++;
    await own.advance(ms);
    checkpoints.makeIfDue();
    await checkpoints.settled();
  };
  const fail = (): void => {
    failures = 1;
  };
  return { checkpoints, advance, written, dropped, fail };
}
