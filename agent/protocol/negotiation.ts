import type { RequestError } from '../../shared/stats/index.ts';
import type { Origin } from './exchange.ts';
import { Dial, type DialOwner, type DialShared } from './http1/dial.ts';

export type Protocol = 'h2' | 'http/1.1';

/** Somebody who wants to know what an origin speaks. */
export interface Asker {
  learned(protocol: Protocol, nowUs: number): void;
  notLearned(error: RequestError, nowUs: number): void;
}

/** What the https origins of a run speak, asked by ALPN once per origin and agent, on a connection that carries nothing else. */
export class Negotiation {
  private readonly shared: DialShared;
  private readonly known = new WeakMap<Origin, Protocol>();
  private readonly questions = new Map<Origin, Question>();

  constructor(shared: DialShared) {
    this.shared = shared;
  }

  /** `undefined` when nobody has asked yet. */
  protocolOf(origin: Origin): Protocol | undefined {
    // Nothing is negotiated without TLS.
    return origin.isTls ? this.known.get(origin) : 'http/1.1';
  }

  /** Answers all who ask meanwhile by one connection. After a failure the next one asks anew. */
  ask(origin: Origin, asker: Asker, nowUs: number): void {
    let question = this.questions.get(origin);
    if (question === undefined) {
      question = new Question(origin, this.shared, nowUs, (protocol) => {
        this.questions.delete(origin);
        if (protocol !== undefined) this.known.set(origin, protocol);
      });
      this.questions.set(origin, question);
    }
    question.askers.add(asker);
  }

  giveUp(origin: Origin, asker: Asker): void {
    this.questions.get(origin)?.giveUp(asker);
  }
}

class Question implements DialOwner {
  readonly askers = new Set<Asker>();
  private readonly dial: Dial;
  private settle: ((protocol: Protocol | undefined) => void) | undefined;

  constructor(origin: Origin, shared: DialShared, nowUs: number, settle: (protocol: Protocol | undefined) => void) {
    this.settle = settle;
    this.dial = new Dial(origin, shared, this, { protocols: ['h2', 'http/1.1'] }, nowUs);
  }

  giveUp(asker: Asker): void {
    this.askers.delete(asker);
    if (this.askers.size > 0) return;
    this.end(undefined);
    this.dial.destroy();
  }

  opened(nowUs: number): void {
    // A server that does not negotiate speaks what all speak.
    const protocol = this.dial.protocol === 'h2' ? 'h2' : 'http/1.1';
    this.dial.hangUp();
    for (const asker of this.end(protocol)) asker.learned(protocol, nowUs);
  }

  ended(nowUs: number): void {
    this.failed('connect-reset', nowUs);
  }

  failed(error: RequestError, nowUs: number): void {
    this.dial.destroy();
    for (const asker of this.end(undefined)) asker.notLearned(error, nowUs);
  }

  private end(protocol: Protocol | undefined): readonly Asker[] {
    const askers = [...this.askers];
    this.askers.clear();
    const { settle } = this;
    this.settle = undefined;
    settle?.(protocol);
    return askers;
  }
}
