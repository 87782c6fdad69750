import { randomUUID } from 'node:crypto';
import { reasonOf, type Clock, type Log } from '../shared/base/index.ts';
import type { RunEvent } from '../shared/wire/index.ts';

/** Stores one event; a repeat under the same id is stored once. */
export type StoreEvent = (event: RunEvent, id: string) => Promise<void>;

/** Events that wait for the stream: a run has a dozen and two per agent that is lost. Past it new ones are given up, and the log says so. */
const EVENTS_MAX = 10_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;

/** Keeps run events until the stream has them. What a restarted coordinator knows is the fold over them, so none may be lost to a server
 *  that is away for a while, none overtake another, none be stored twice. */
export class EventOutbox {
  private readonly store: StoreEvent;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly queue: RunEvent[] = [];
  private readonly closing = new AbortController();
  /** Another process that was this coordinator has numbered its events too. */
  private readonly incarnation = randomUUID();
  private sending: Promise<void> | undefined;
  private stored = 0;

  constructor(store: StoreEvent, clock: Clock, log: Log) {
    this.store = store;
    this.clock = clock;
    this.log = log;
  }

  add(event: RunEvent): void {
    if (this.queue.length >= EVENTS_MAX) {
      this.log.error({ runId: event.runId, kind: event.kind }, 'an event is lost: too many wait to be stored');
      return;
    }
    this.queue.push(event);
    this.sending ??= this.send();
  }

  /** Resolves with true when everything so far is stored, with false after `timeoutMs`: it is tried on all the same. */
  async flushed(timeoutMs: number): Promise<boolean> {
    const waited = new AbortController();
    const over = this.clock.sleep(timeoutMs, waited.signal);
    await Promise.race([over, this.sending]);
    waited.abort();
    return this.sending === undefined;
  }

  /** Gives up what is not stored by now. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.sending;
  }

  private async send(): Promise<void> {
    let waitMs = RETRY_MIN_MS;
    for (let event = this.queue[0]; event !== undefined && !this.closing.signal.aborted; event = this.queue[0]) {
      try {
        await this.store(event, `${event.runId}:event:${this.incarnation}:${this.stored}`);
        this.stored++;
        this.queue.shift();
        waitMs = RETRY_MIN_MS;
      } catch (thrown) {
        this.log.warn({ runId: event.runId, kind: event.kind, reason: reasonOf(thrown) }, 'an event waits to be stored');
        await this.clock.sleep(waitMs * (0.5 + Math.random() / 2), this.closing.signal);
        waitMs = Math.min(waitMs * 2, RETRY_MAX_MS);
      }
    }
    this.sending = undefined;
  }
}
