import { status, type ServerDuplexStream } from '@grpc/grpc-js';
import type { ControlServer, JoinRequest, JoinResponse } from '../../proto/gen/muster/v1/control.ts';
import { AppError, reasonOf, type Log } from '../../shared/base/index.ts';
import type { Agent, Fleet, StreamEnd } from '../fleet.ts';

/** How long an agent may take to say hello. */
const HELLO_TIMEOUT_MS = 10_000;

/** The agents' end of the control plane: one stream an agent, its first message a hello. */
export function controlServer(fleet: Pick<Fleet, 'join' | 'receive' | 'left'>, log: Log): ControlServer {
  return {
    join(stream: ServerDuplexStream<JoinRequest, JoinResponse>) {
      let agent: Agent | undefined;
      const leave = (end: StreamEnd): void => {
        clearTimeout(waitingForHello);
        if (agent !== undefined) fleet.left(agent, end);
        agent = undefined;
      };
      const refuse = (error: AppError): void => {
        log.warn({ code: error.code }, error.message);
        const code = error.code === 'NOT_AUTHORISED' ? status.PERMISSION_DENIED : status.FAILED_PRECONDITION;
        stream.emit('error', { code, details: `${error.code}: ${error.message}` });
      };
      const waitingForHello = setTimeout(() => {
        refuse(new AppError('NOT_AUTHORISED', 'expected a hello first'));
      }, HELLO_TIMEOUT_MS);

      stream.on('data', ({ kind }: JoinRequest) => {
        if (kind === undefined) return;
        if (agent !== undefined) {
          fleet.receive(agent, kind);
          return;
        }
        if (kind.$case !== 'hello') return;
        clearTimeout(waitingForHello);
        try {
          agent = fleet.join(
            kind.value,
            (message) => {
              if (stream.writable) stream.write({ kind: message });
            },
            () => {
              stream.end();
            },
          );
        } catch (thrown) {
          if (!(thrown instanceof AppError)) throw thrown;
          refuse(thrown);
        }
      });
      stream.on('end', () => {
        leave({ reason: 'it hung up', isHangUp: true });
        stream.end();
      });
      stream.on('cancelled', () => {
        leave({ reason: 'its connection broke', isHangUp: false });
      });
      stream.on('error', (error) => {
        leave({ reason: reasonOf(error), isHangUp: false });
      });
    },
  };
}
