import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf, type Clock, type Log } from '../shared/base/index.ts';
import { BUNDLE_FILES, type BundlePosition, type BundleWriter } from '../shared/report/index.ts';
import type { Collector, SavedCollector } from './collector.ts';

/** Everything up to one place in the stream: a coordinator that is restarted reads on behind it. */
export interface Checkpoint {
  readonly schemaVersion: 1;
  readonly runId: string;
  /** Stream sequence of the last batch that is in. */
  readonly sequence: number;
  /** Lengths of the bundle's growing files; what is behind them is written again. */
  readonly bundle: BundlePosition;
  readonly collector: SavedCollector;
}

/** Between two checkpoints: what a restart may have to read again. */
const PERIOD_MIN_MS = 2_000;
/** A checkpoint may take one part in so many of the coordinator's time; where it costs more, it is made less often. */
const PERIODS_PER_COST = 100;
/** How often batches that a checkpoint holds are taken out of the stream. A purge makes the server look through its store. */
const DROP_EVERY_MS = 60_000;

export interface CheckpointsContext {
  readonly runId: string;
  readonly bundle: Pick<BundleWriter, 'position' | 'writeCheckpoint'>;
  readonly collector: Pick<Collector, 'save'>;
  /** Takes batches up to this sequence out of the stream. */
  readonly drop: (sequence: number) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** The checkpoints of one run. Only making one costs the coordinator's loop anything, some 40 ms for a thousand agents with 20 series each
 *  (`npm run bench:checkpoint`); writing it is the disk's business. */
export class Checkpoints {
  private readonly context: CheckpointsContext;
  private sequence: number;
  private nextUs: number;
  private nextDropUs: number;
  private writing: Promise<void> | undefined;

  /** `sequence`: of the last batch that is in, 0 for none. */
  constructor(context: CheckpointsContext, sequence: number) {
    this.context = context;
    this.sequence = sequence;
    this.nextUs = context.clock.nowUs() + PERIOD_MIN_MS * 1000;
    this.nextDropUs = context.clock.nowUs() + DROP_EVERY_MS * 1000;
  }

  /** The batch of this sequence is in. */
  took(sequence: number): void {
    this.sequence = sequence;
  }

  /** How far everything is in, for the manifest. */
  get position(): Pick<Checkpoint, 'sequence' | 'bundle'> {
    return { sequence: this.sequence, bundle: this.context.bundle.position };
  }

  /** To be called often; makes a checkpoint when it is time, and never waits for the disk. */
  makeIfDue(): void {
    if (this.writing !== undefined || this.context.clock.nowUs() < this.nextUs) return;
    this.writing = this.make().finally(() => {
      this.writing = undefined;
    });
  }

  /** Resolves when nothing is being written any more. */
  async settled(): Promise<void> {
    await this.writing;
  }

  private async make(): Promise<void> {
    const { runId, bundle, collector, clock, log } = this.context;
    const { sequence } = this;
    const fromUs = clock.nowUs();
    const checkpoint: Checkpoint = { schemaVersion: 1, runId, sequence, bundle: bundle.position, collector: collector.save() };
    const text = JSON.stringify(checkpoint);
    const costMs = (clock.nowUs() - fromUs) / 1000;
    this.nextUs = clock.nowUs() + Math.max(PERIOD_MIN_MS, costMs * PERIODS_PER_COST) * 1000;
    try {
      await bundle.writeCheckpoint(text);
      await this.dropIfDue(sequence);
    } catch (thrown) {
      // The one before stands; the stream still holds what came since.
      log.warn({ runId, reason: reasonOf(thrown) }, 'a checkpoint could not be written');
    }
  }

  private async dropIfDue(sequence: number): Promise<void> {
    const { clock, drop } = this.context;
    if (sequence === 0 || clock.nowUs() < this.nextDropUs) return;
    this.nextDropUs = clock.nowUs() + DROP_EVERY_MS * 1000;
    await drop(sequence);
  }
}

/** The checkpoint in a bundle; `undefined` when there is none, or none that can be read: then the whole stream is. */
export async function readCheckpoint(dir: string, runId: string, log: Log): Promise<Checkpoint | undefined> {
  try {
    const found = JSON.parse(await readFile(join(dir, BUNDLE_FILES.checkpoint), 'utf8')) as Partial<Checkpoint>;
    if (found.schemaVersion !== 1 || found.runId !== runId) throw new Error('it is of another version or another run');
    return found as Checkpoint;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    log.error({ runId, reason: reasonOf(thrown) }, 'the checkpoint of a run cannot be read');
    return undefined;
  }
}
