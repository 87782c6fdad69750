import {
  AckPolicy,
  ConsumerDebugEvents,
  ConsumerEvents,
  DeliverPolicy,
  nanos,
  type ConsumerMessages,
  type JetStreamClient,
  type JetStreamManager,
} from 'nats';
import { reasonOf, type Clock } from '../base/index.ts';

/** What a feed reads, and from where on. */
export interface FeedSource {
  readonly stream: string;
  /** Subjects with wildcards. */
  readonly filter: string;
  /** First stream sequence that is wanted. */
  readonly fromSequence: number;
}

export interface FeedContext {
  readonly jetstream: JetStreamClient;
  readonly manager: () => Promise<JetStreamManager>;
  readonly clock: Clock;
  /** Calls back whenever the connection is there again after it broke; returns how to take that back. */
  readonly onReconnect: (act: () => void) => () => void;
  /** Why the feed has to begin anew, each time it does. */
  readonly onTrouble: (reason: string) => void;
}

/** Messages asked for at once. */
const MESSAGES_MAX = 512;
/** How long the server keeps one request for messages open, and how often it says that it still does. Two silences in a row and the feed
 *  begins anew: with a leader that died nobody else would say so. */
const REQUEST_MS = 4_000;
const HEARTBEAT_MS = 1_000;
/** The server forgets a consumer that stopped asking. */
const CONSUMER_IDLE_MS = 60_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;

/** Hands over every message of `source` in stream order, each exactly once, until `signal` aborts; it never rejects.
 *
 *  The reader keeps its own place: the server is asked for what follows the last message that was handed over, with a consumer that needs
 *  no acknowledgements. Whatever happens to the server, its disk or its leader, what it still holds comes, and nothing comes twice.
 *  Delivery numbers without holes show that nothing was lost on the way; a hole, a reconnection, silence or an error, and the feed begins
 *  anew at its place, with backoff and jitter. */
export async function readFeed(
  source: FeedSource,
  context: FeedContext,
  onMessage: (bytes: Uint8Array, sequence: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const place = { next: source.fromSequence };
  const isOver = (): boolean => signal.aborted;
  let waitMs = RETRY_MIN_MS;
  while (!isOver()) {
    const before = place.next;
    try {
      const reason = await readUntilBroken(source, place, context, onMessage, signal);
      if (!isOver()) context.onTrouble(reason);
    } catch (thrown) {
      context.onTrouble(reasonOf(thrown));
    }
    // What delivers is not to be spared.
    waitMs = place.next > before ? RETRY_MIN_MS : Math.min(waitMs * 2, RETRY_MAX_MS);
    await context.clock.sleep(waitMs * (0.5 + Math.random() / 2), signal);
  }
}

/** One consumer's life. Resolves with what ended it. */
async function readUntilBroken(
  { stream, filter }: FeedSource,
  place: { next: number },
  { jetstream, manager, onReconnect }: FeedContext,
  onMessage: (bytes: Uint8Array, sequence: number) => void,
  signal: AbortSignal,
): Promise<string> {
  const consumers = (await manager()).consumers;
  const { name } = await consumers.add(stream, {
    filter_subject: filter,
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: place.next,
    inactive_threshold: nanos(CONSUMER_IDLE_MS),
    mem_storage: true,
    num_replicas: 1,
  });
  let reason = 'it was told to end';
  const consumer = await jetstream.consumers.get(stream, name);
  const messages = await consumer.consume({ max_messages: MESSAGES_MAX, expires: REQUEST_MS, idle_heartbeat: HEARTBEAT_MS });
  const end = (why: string): void => {
    reason = why;
    messages.stop();
  };
  const abort = (): void => {
    messages.stop();
  };
  // What was on its way when the connection broke is gone, and the server thinks it delivered.
  const forget = onReconnect(() => {
    end('the connection broke');
  });
  signal.addEventListener('abort', abort);
  void watch(messages, end);
  try {
    let delivered = 0;
    // It may have aborted while nobody listened.
    if (signal.aborted) messages.stop();
    for await (const { data, info, seq } of messages) {
      if (info.deliverySequence !== ++delivered) return 'a message was lost on the way';
      onMessage(data, seq);
      place.next = seq + 1;
    }
    return reason;
  } finally {
    messages.stop();
    forget();
    signal.removeEventListener('abort', abort);
    // The server would forget it by itself, so a server that does not answer is not waited for.
    void consumers.delete(stream, name).catch(() => undefined);
  }
}

/** Ends the messages when the server says, or its silence shows, that no more will come this way. */
async function watch(messages: ConsumerMessages, end: (why: string) => void): Promise<void> {
  for await (const { type } of await messages.status()) {
    switch (type) {
      case ConsumerEvents.HeartbeatsMissed:
        end('the server fell silent');
        break;
      case ConsumerEvents.ConsumerDeleted:
      case ConsumerEvents.ConsumerNotFound:
      case ConsumerEvents.StreamNotFound:
      case ConsumerEvents.NoResponders:
        end('the server lost the consumer');
        break;
      case ConsumerDebugEvents.Next:
      case ConsumerDebugEvents.DebugEvent:
      case ConsumerDebugEvents.Discard:
      case ConsumerDebugEvents.Reset:
      case ConsumerEvents.OrderedConsumerRecreated:
        break;
    }
  }
}
