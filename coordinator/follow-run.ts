import { AppError, formatDurationUs, type Clock } from '../shared/base/index.ts';
import type { Snapshot } from '../shared/report/index.ts';
import type { Outcome } from './outcome.ts';
import type { RunsClient } from './rpc/runs-client.ts';

export interface Following {
  readonly onSnapshot: (snapshot: Snapshot) => void;
  /** A line for people. */
  readonly say: (text: string) => void;
  /** The connection is there again after it broke. */
  readonly onBack: () => void;
  /** Without a coordinator for this long it is given up. */
  readonly giveUpMs: number;
  readonly clock: Clock;
}

const REDIAL_MIN_MS = 200;
const REDIAL_MAX_MS = 5_000;

/** Follows a run to its end, over any number of coordinators: a connection that breaks is made again, with backoff and jitter. Throws
 *  `AppError('CONNECTION_LOST')` when no coordinator comes back in time, which is no end of the run, or what a coordinator says. */
export async function followRun(client: Pick<RunsClient, 'watch' | 'untilReady'>, runId: string, following: Following): Promise<Outcome> {
  const { onSnapshot, say, onBack, giveUpMs, clock } = following;
  for (let hasBroken = false; ; hasBroken = true) {
    try {
      return await client.watch(runId, onSnapshot);
    } catch (thrown) {
      if (hasBroken && thrown instanceof AppError && thrown.code === 'RUN_UNKNOWN')
        throw new AppError('CONNECTION_LOST', `the coordinator that came back knows nothing of run ${runId}: it is on another NATS`);
      if (!isLost(thrown)) throw thrown;
      say(`${thrown.message}; the run goes on, trying again for ${formatDurationUs(giveUpMs * 1000)}`);
    }
    await untilBack(client, runId, giveUpMs, clock);
    say('the coordinator is there again');
    onBack();
  }
}

async function untilBack(client: Pick<RunsClient, 'untilReady'>, runId: string, giveUpMs: number, clock: Clock): Promise<void> {
  const giveUpUs = clock.nowUs() + giveUpMs * 1000;
  for (let waitMs = REDIAL_MIN_MS; ; waitMs = Math.min(waitMs * 2, REDIAL_MAX_MS)) {
    await clock.sleep(waitMs * (0.5 + Math.random() / 2));
    try {
      await client.untilReady();
      return;
    } catch (thrown) {
      if (!isLost(thrown)) throw thrown;
      if (clock.nowUs() < giveUpUs) continue;
      throw new AppError(
        'CONNECTION_LOST',
        `${thrown.message}, and ${formatDurationUs(giveUpMs * 1000)} have passed; run ${runId} goes on without this command: "muster runs" shows what becomes of it`,
      );
    }
  }
}

function isLost(thrown: unknown): thrown is AppError {
  return thrown instanceof AppError && (thrown.code === 'CONNECTION_LOST' || thrown.code === 'COORDINATOR_UNAVAILABLE');
}
