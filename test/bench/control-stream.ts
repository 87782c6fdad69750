import { connect, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { JoinRequest, JoinResponse } from '../../proto/gen/muster/v1/control.ts';
import type { AgentMessage, CoordinatorMessage } from '../../shared/wire/index.ts';

const FRAME_HEAD_BYTES = 5;

/** An agent's end of the control plane on a connection of its own, spoken on HTTP/2 itself: a process that plays thousands of agents
 *  cannot afford a gRPC client for each. Unlike an agent's it sends no pings of HTTP/2. */
export class ControlStream {
  private readonly session: ClientHttp2Session;
  private readonly stream: ClientHttp2Stream;
  private readonly onMessage: (message: CoordinatorMessage) => void;
  private rest: Buffer = Buffer.alloc(0);

  /** `address`: HOST:PORT. `onEnd`: with what was wrong. */
  constructor(address: string, onMessage: (message: CoordinatorMessage) => void, onEnd: (reason: string) => void) {
    this.onMessage = onMessage;
    this.session = connect(`http://${address}`);
    this.session.on('error', (error: Error) => {
      onEnd(error.message);
    });
    this.stream = this.session.request({
      ':method': 'POST',
      ':path': '/muster.v1.Control/Join',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    this.stream.on('data', (bytes: Buffer) => {
      this.take(bytes);
    });
    const judge = ({ 'grpc-status': status, 'grpc-message': message }: IncomingHttpHeaders): void => {
      if (status !== undefined && status !== '0') onEnd(`status ${String(status)}: ${String(message)}`);
    };
    // A refusal without a message has its status here already.
    this.stream.on('response', judge);
    this.stream.on('trailers', judge);
    this.stream.on('close', () => {
      onEnd('the stream is closed');
    });
    this.stream.on('error', (error: Error) => {
      onEnd(error.message);
    });
  }

  /** Not compressed, a length in four bytes, the message. */
  send(kind: AgentMessage): void {
    const message = JoinRequest.encode({ kind }).finish();
    const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + message.length);
    frame[0] = 0;
    frame.writeUInt32BE(message.length, 1);
    frame.set(message, FRAME_HEAD_BYTES);
    this.stream.write(frame);
  }

  private take(bytes: Buffer): void {
    let rest = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    while (rest.length >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + rest.readUInt32BE(1);
      if (rest.length < end) break;
      const { kind } = JoinResponse.decode(rest.subarray(FRAME_HEAD_BYTES, end));
      rest = rest.subarray(end);
      if (kind !== undefined) this.onMessage(kind);
    }
    this.rest = rest;
  }
}
