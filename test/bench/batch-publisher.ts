import { connect, createInbox, headers, type Msg, type NatsConnection } from 'nats';
import { systemClock } from '../../shared/base/index.ts';
import { batchMessageId, batchSubject } from '../../shared/wire/index.ts';

/** As long as an outbox waits for an acknowledgement. */
const ACK_TIMEOUT_US = 5e6;

interface Batch {
  readonly runId: string;
  readonly agent: string;
  readonly incarnation: string;
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

interface Unacknowledged extends Batch {
  readonly reply: string;
  readonly onStored: () => void;
  dueUs: number;
}

/** Publishes batches of thousands of agents and hears of each that it is stored, on one connection and without a promise and a timer a batch.
 *  What is not acknowledged is sent again under the same id, as an outbox does, but in no order, and after a refusal too only once the time for an
 *  acknowledgement is over: a bench that counts retries is past its limit. */
export class BatchPublisher {
  retries = 0;
  private readonly connection: NatsConnection;
  private readonly inbox = createInbox();
  /** By the last token of the reply's subject; the one that is due first comes first. */
  private readonly unacknowledged = new Map<string, Unacknowledged>();
  private count = 0;

  static async connect(url: string): Promise<BatchPublisher> {
    return new BatchPublisher(await connect({ servers: url, name: 'simulated-agents', maxReconnectAttempts: -1 }));
  }

  private constructor(connection: NatsConnection) {
    this.connection = connection;
    connection.subscribe(`${this.inbox}.*`, {
      callback: (_, message) => {
        this.acknowledge(message);
      },
    });
  }

  /** Batches that are not known to be stored. */
  get underWay(): number {
    return this.unacknowledged.size;
  }

  publish(batch: Batch, onStored: () => void): void {
    const token = String(this.count++);
    const one: Unacknowledged = { ...batch, reply: `${this.inbox}.${token}`, onStored, dueUs: systemClock.nowUs() + ACK_TIMEOUT_US };
    this.unacknowledged.set(token, one);
    this.send(one);
  }

  /** To be called often: sends again what is due. */
  tick(nowUs: number): void {
    for (const [token, one] of this.unacknowledged) {
      if (one.dueUs > nowUs) return;
      this.retries++;
      one.dueUs = nowUs + ACK_TIMEOUT_US;
      this.unacknowledged.delete(token);
      this.unacknowledged.set(token, one);
      this.send(one);
    }
  }

  /** Nothing more is sent or heard of. */
  close(): Promise<void> {
    return this.connection.close();
  }

  private send({ runId, agent, incarnation, sequence, bytes, reply }: Unacknowledged): void {
    const id = headers();
    id.set('Nats-Msg-Id', batchMessageId(runId, agent, incarnation, sequence));
    this.connection.publish(batchSubject(runId, agent), bytes, { reply, headers: id });
  }

  private acknowledge({ subject, data }: Msg): void {
    const token = subject.slice(this.inbox.length + 1);
    const one = this.unacknowledged.get(token);
    if (one === undefined) return;
    // Nobody keeps the stream, or it was refused: sent again when it is due.
    if (data.length === 0 || Buffer.from(data.buffer, data.byteOffset, data.length).includes('"error"')) return;
    this.unacknowledged.delete(token);
    one.onStored();
  }
}
