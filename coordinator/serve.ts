import type { Clock, Log } from '../shared/base/index.ts';
import { Coordinator, type CoordinatorOptions } from './coordinator.ts';
import { openServer } from './rpc/server.ts';

export interface ServingCoordinator {
  /** Where it listens. */
  readonly port: number;
  /** A run is under way. */
  readonly isBusy: boolean;
  /** Stops every run, waits for their verdicts, then closes. */
  close(): Promise<void>;
}

/** A coordinator with its gRPC server on `listen` (HOST:PORT; port 0 for a free one). Throws `AppError` when NATS cannot be reached
 *  or the port is taken; nothing is left open then. */
export async function serveCoordinator(listen: string, options: CoordinatorOptions, clock: Clock, log: Log): Promise<ServingCoordinator> {
  const coordinator = await Coordinator.start(options, clock, log);
  try {
    const server = await openServer(listen, options.isPrivate, coordinator, clock, log);
    // Only now, so that a port that is taken leaves those runs as they are; and at once: nobody is heard before this turn of the loop ends.
    coordinator.takeUp();
    return {
      port: server.port,
      get isBusy() {
        return coordinator.isBusy;
      },
      close: async () => {
        await coordinator.endRuns();
        await server.close();
        await coordinator.close();
      },
    };
  } catch (thrown) {
    await coordinator.close();
    throw thrown;
  }
}
