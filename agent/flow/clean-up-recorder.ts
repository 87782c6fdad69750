import { CLEAN_UP_TAGS, type Tags } from '../../shared/stats/index.ts';
import type { Recorder } from '../recorder.ts';
import type { Sink } from './steps.ts';

/** Counts what the clean-up of a scenario sends, receives and checks, apart from its load. Its checks are those of the file, and bounded by it. */
export class CleanUpRecorder implements Sink {
  private readonly recorder: Recorder;
  private readonly tags: Tags;
  private readonly sent: ReturnType<Recorder['counter']>;
  private readonly received: ReturnType<Recorder['counter']>;
  private readonly checks = new Map<string, ReturnType<Recorder['rate']>>();

  constructor(recorder: Recorder, scenario: string) {
    this.recorder = recorder;
    this.tags = { scenario, ...CLEAN_UP_TAGS };
    this.sent = recorder.counter('data_sent', this.tags);
    this.received = recorder.counter('data_received', this.tags);
  }

  bytes(sent: number, received: number): void {
    this.sent.count += sent;
    this.received.count += received;
  }

  check(name: string, holds: boolean): void {
    let rate = this.checks.get(name);
    if (rate === undefined) {
      rate = this.recorder.rate('checks', { ...this.tags, check: name });
      this.checks.set(name, rate);
    }
    if (holds) rate.passes++;
    else rate.fails++;
  }
}
