import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ControlService, RunsService } from '../../proto/gen/muster/v1/control.ts';
import { AppError, GRPC_MESSAGE_BYTES_MAX, type Clock, type Log } from '../../shared/base/index.ts';
import { controlServer } from './control-server.ts';
import type { Coordinator } from '../coordinator.ts';
import { runsServer } from './runs-server.ts';
import { Uncollected } from './uncollected.ts';

export interface RunningServer {
  readonly port: number;
  close(): Promise<void>;
}

const CLOSE_TIMEOUT_MS = 2_000;

/** Serves Control and Runs, and health and reflection where others than we ourselves may ask: `isPrivate` is false. Throws
 *  `AppError('PORT_TAKEN')` when `listen` (HOST:PORT) cannot be bound. */
export async function openServer(
  listen: string,
  isPrivate: boolean,
  coordinator: Coordinator,
  clock: Clock,
  log: Log,
): Promise<RunningServer> {
  const uncollected = new Uncollected(clock);
  const server = new Server({
    'grpc.max_receive_message_length': GRPC_MESSAGE_BYTES_MAX,
    'grpc.keepalive_time_ms': 5_000,
    'grpc.keepalive_timeout_ms': 5_000,
  });
  server.addService(ControlService, controlServer(coordinator.members, log));
  server.addService(RunsService, runsServer(coordinator, uncollected, log));
  // Loaded only where they are of use.
  if (!isPrivate) (await import('./introspection.ts')).addIntrospection(server);

  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(listen, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new AppError('PORT_TAKEN', `cannot listen on ${listen}: ${error.message}`, { cause: error }));
    });
  });
  return {
    port,
    close: async () => {
      await uncollected.untilNone();
      await new Promise<void>((resolve) => {
        // Agents hold their streams for ever, so a graceful shutdown alone would never end.
        const force = setTimeout(() => {
          server.forceShutdown();
          resolve();
        }, CLOSE_TIMEOUT_MS);
        server.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
      });
    },
  };
}
