import { credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import { ControlClient, type JoinRequest, type JoinResponse } from '../proto/gen/muster/v1/control.ts';
import { AppError, reasonOf } from '../shared/base/index.ts';
import type { AgentMessage, CoordinatorMessage } from '../shared/wire/index.ts';

/** One control stream to the coordinator, from dialling until it breaks. */
export interface ControlStream {
  send(message: AgentMessage): void;
  /** Resolves with the reason when the stream is over, whoever ended it. */
  readonly closed: Promise<string>;
  close(): void;
}

/** How long dialling may take. */
const DIAL_TIMEOUT_MS = 5_000;

/** Throws `AppError('COORDINATOR_UNAVAILABLE')` when nobody answers there in time. `onMessage` is called in the order of arrival. */
export async function openControlStream(address: string, onMessage: (message: CoordinatorMessage) => void): Promise<ControlStream> {
  const client = new ControlClient(address, credentials.createInsecure(), {
    // Finds a peer that vanished without a word.
    'grpc.keepalive_time_ms': 5_000,
    'grpc.keepalive_timeout_ms': 5_000,
    // A coordinator that is restarted is found again soon, also within one attempt to dial.
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 2_000,
  });
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + DIAL_TIMEOUT_MS, (error) => {
      if (error === undefined) {
        resolve();
        return;
      }
      client.close();
      reject(new AppError('COORDINATOR_UNAVAILABLE', `no coordinator at ${address}: ${error.message}`));
    });
  });
  const stream: ClientDuplexStream<JoinRequest, JoinResponse> = client.join();
  const closed = new Promise<string>((resolve) => {
    const end = (reason: string): void => {
      resolve(reason);
      client.close();
    };
    stream.on('error', (error) => {
      end(reasonOf(error));
    });
    stream.on('end', () => {
      end('the coordinator closed the stream');
    });
  });
  stream.on('data', (response: JoinResponse) => {
    if (response.kind !== undefined) onMessage(response.kind);
  });
  return {
    closed,
    send: (kind) => {
      // A stream that broke meanwhile says so through `closed`; what was not sent is of no use after that.
      if (!stream.destroyed && stream.writable) stream.write({ kind });
    },
    close: () => {
      stream.end();
      client.close();
    },
  };
}
