/** A process full of agents that send nothing to any target: each holds a control stream of its own, on a connection of its own, speaks
 *  the protocol, and publishes what an agent's recorder would have measured. Its parent tells it what to be in `SIMULATED_AGENTS`. */
import { systemClock, VERSION } from '../../shared/base/index.ts';
import { encodeBatch, ledgerToWire, type AgentMessage, type CoordinatorMessage } from '../../shared/wire/index.ts';
import type { BatchKey } from '../../shared/stats/index.ts';
import { AgentBatches, HEALTH, sampleLedgers, TRENDS } from './agent-batches.ts';
import { BatchPublisher } from './batch-publisher.ts';
import { ControlStream } from './control-stream.ts';

export interface SimulationOptions {
  /** Numbers of the agents in here. */
  readonly from: number;
  readonly to: number;
  readonly coordinator: string;
  readonly natsUrl: string;
  readonly seconds: number;
  /** Agents seal at the same instant; their batches leave within this time after it, each agent's always at the same place. */
  readonly spreadMs: number;
  /** They wait for a word of their parent, and then seal everything they ever will, as fast as it is stored. Who coordinates does not matter. */
  readonly inRush: boolean;
}

/** What the parent hears. */
export type SimulationReport =
  | { readonly kind: 'joined' }
  | { readonly kind: 'started'; readonly zeroUs: number }
  | { readonly kind: 'done'; readonly retries: number; readonly lateMaxMs: number };

const SAMPLES = 500;
const SAMPLES_PER_BATCH = SAMPLES * TRENDS;
/** Different contents of a batch; agents take them in turn. */
const POOL = 64;
const TICK_MS = 5;
/** Batches published before the first agent joins, to a subject that no stream keeps. */
const REHEARSED = 3_000;
const REHEARSED_AT_A_TIME = 50;
const INCARNATION = 'c0ffee00';
/** Agents that dial in at once: these have no second try, and a listener keeps some five hundred waiting. */
const JOINING_MAX = 50;
/** Batches on their way at once in a rush. */
const RUSHING_MAX = 256;

const options = JSON.parse(process.env['SIMULATED_AGENTS'] ?? '{}') as SimulationOptions;
const pool = Array.from({ length: POOL }, (_, seed) => {
  const agent = new AgentBatches(seed, 'agent');
  return { first: body(agent), later: body(agent) };
});
await rehearse();
const publisher = await BatchPublisher.connect(options.natsUrl);
const count = options.to - options.from;
let joined = 0;
let started = 0;
let ended = 0;
let lateMaxMs = 0;
/** Batches sealed in a rush. */
let rushed = 0;

/** A batch but for what tells one from another; messages that follow each other are one message. */
function body(agent: AgentBatches): Uint8Array {
  return encodeBatch({ key: { agent: '', incarnation: '', sequence: 0 }, ...agent.next(SAMPLES, false), ledgers: [] });
}

/** Agents rehearse before they join. These do too, so that they do not take the cores from what is measured while their code is compiled. */
async function rehearse(): Promise<void> {
  const nobody = await BatchPublisher.connect(options.natsUrl);
  for (let sequence = 0; sequence < REHEARSED; sequence++) {
    const key = { agent: 'rehearsal', incarnation: INCARNATION, sequence };
    nobody.publish({ runId: 'no.run', ...key, bytes: batchOf(key, sequence, false) }, () => undefined);
    if (sequence % REHEARSED_AT_A_TIME === 0) await systemClock.sleep(TICK_MS);
  }
  await nobody.close();
}

/** The batch of one interval. `place`: of its contents in the pool. */
function batchOf(key: BatchKey, place: number, isFinal: boolean): Uint8Array {
  const contents = pool[place % POOL];
  if (contents === undefined) throw new Error('an empty pool');
  const { sequence } = key;
  const own = encodeBatch({
    ...{ key, intervalIndex: sequence, intervalCount: 1, isFinal, ledgers: sampleLedgers(SAMPLES, sequence + 1) },
    ...{ defines: [], trends: [], counters: [], rates: [], gauges: [] },
    ...{ samplesRecorded: SAMPLES_PER_BATCH * (sequence + 1), health: HEALTH, epochs: 1 },
  });
  return Buffer.concat([sequence === 0 ? contents.first : contents.later, own]);
}

function report(said: SimulationReport): void {
  process.send?.(said);
}

class SimulatedAgent {
  private readonly id: string;
  private readonly number: number;
  private readonly control: ControlStream;
  private readonly phaseUs: number;
  private runId = '';
  private zeroUs = Infinity;
  private sealed = 0;
  private stored = 0;
  private beatUs = Infinity;
  private heartbeatUs = Infinity;
  private beats = 0;
  private isCut = false;

  constructor(number: number) {
    this.number = number;
    this.id = `sim-${String(number).padStart(5, '0')}`;
    // The golden ratio spreads any number of agents evenly.
    this.phaseUs = ((number * 0.618_034) % 1) * options.spreadMs * 1000;
    const receive = (message: CoordinatorMessage): void => {
      this.receive(message);
    };
    const cut = (reason: string): void => {
      if (!options.inRush || started < count) process.stderr.write(`${this.id}: ${reason}\n`);
      this.isCut = true;
    };
    this.control = new ControlStream(options.coordinator, receive, cut);
    const { id: agentId } = this;
    this.send({
      $case: 'hello',
      value: {
        agentId,
        incarnation: INCARNATION,
        version: VERSION,
        labels: {},
        capacity: 1,
        allowList: [],
        joinToken: '',
        ...{ machineRate: undefined, runId: '', state: '' },
      },
    });
  }

  tick(nowUs: number): void {
    if (nowUs >= this.beatUs) {
      this.beatUs += this.heartbeatUs;
      this.beat();
    }
    if (options.inRush) return;
    const dueUs = this.zeroUs + (this.sealed + 1) * 1e6 + this.phaseUs;
    if (this.sealed >= options.seconds || nowUs < dueUs) return;
    lateMaxMs = Math.max(lateMaxMs, (nowUs - dueUs) / 1000);
    this.seal();
  }

  /** The next interval, and publishes it. */
  seal(): void {
    const sequence = this.sealed++;
    const key = { agent: this.id, incarnation: INCARNATION, sequence };
    const bytes = batchOf(key, this.number + sequence, sequence === options.seconds - 1);
    publisher.publish({ runId: this.runId, ...key, bytes }, this.onStored);
  }

  private receive(message: CoordinatorMessage): void {
    switch (message.$case) {
      case 'welcome':
        this.heartbeatUs = message.value.heartbeatMs * 1_000;
        this.beatUs = systemClock.nowUs() + ((this.number * 0.618_034) % 1) * this.heartbeatUs;
        if (++joined === count) report({ kind: 'joined' });
        return;
      case 'clockPing': {
        const receivedUs = systemClock.nowUs();
        this.send({ $case: 'clockPong', value: { number: message.value.number, receivedUs, sentUs: systemClock.nowUs() } });
        return;
      }
      case 'assign':
        this.runId = message.value.runId;
        this.send({ $case: 'ready', value: { runId: this.runId } });
        return;
      case 'start':
        this.zeroUs = message.value.atAgentClockUs;
        if (++started === count) report({ kind: 'started', zeroUs: this.zeroUs });
        return;
      default:
    }
  }

  private send(message: AgentMessage): void {
    if (!this.isCut) this.control.send(message);
  }

  private readonly onStored = (): void => {
    if (++this.stored === options.seconds) this.end();
    if (options.inRush) rushOn();
  };

  private end(): void {
    this.beat();
    const { runId } = this;
    this.send({
      $case: 'finished',
      value: {
        ...{ runId, batches: options.seconds, samplesRecorded: SAMPLES_PER_BATCH * options.seconds },
        ...{
          ledgers: this.ledgers(options.seconds).map(ledgerToWire),
          thrown: [],
          scriptErrors: 0,
          startErrorUs: 0,
          cappedSamples: 0,
          blocks: [],
          astray: 0,
        },
      },
    });
    if (++ended === count) report({ kind: 'done', retries: publisher.retries, lateMaxMs });
  }

  private beat(): void {
    this.send({
      $case: 'progress',
      value: {
        ...{ runId: this.runId, elapsedUs: 0, activeVus: 16, samplesRecorded: SAMPLES_PER_BATCH * this.sealed },
        ...{ ledgers: this.ledgers(this.sealed).map(ledgerToWire), loadEnded: this.stored === options.seconds },
        ...{ number: ++this.beats, epochs: 1 },
      },
    });
  }

  private ledgers(intervals: number): ReturnType<typeof sampleLedgers> {
    return sampleLedgers(SAMPLES, intervals);
  }
}

/** Seals as much as may be on its way, one interval after the other, as time would have it. */
function rushOn(): void {
  while (publisher.underWay < RUSHING_MAX && rushed < count * options.seconds) {
    if (rushed % count === 0 && publisher.underWay > 0) return;
    agents[rushed++ % count]?.seal();
  }
}

const agents: SimulatedAgent[] = [];
setInterval(() => {
  const nowUs = systemClock.nowUs();
  for (const agent of agents) agent.tick(nowUs);
  publisher.tick(nowUs);
}, TICK_MS);
process.on('message', rushOn);
process.on('disconnect', () => process.exit(0));
// A few at a time, as machines that boot do. Those that have joined speak meanwhile: silent agents are lost.
for (let number = options.from; number < options.to; number++) {
  agents.push(new SimulatedAgent(number));
  while (number - options.from - joined >= JOINING_MAX) await systemClock.sleep(TICK_MS);
}
