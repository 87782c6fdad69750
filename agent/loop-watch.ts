import { Worker } from 'node:worker_threads';
import type { ScriptOrigin } from './flow/script-origin.ts';

/** A place in scenario code that kept the loop to itself. */
export interface LoopBlock {
  /** `spin (shop.ts:12:7), scenario shop, after "list products"`. */
  readonly where: string;
  /** How often it was seen, about once a second at most. */
  readonly times: number;
  readonly longestMs: number;
}

/** A loop that stands still this long is blocked; a garbage collection or a busy machine is shorter. */
const BLOCKED_MS = 120;
/** The loop gives a sign of life this often, and the thread looks. */
const BEAT_MS = 20;
/** Being halted costs the loop something: not more often than this. Blocks in between are part of its delay, but not seen. */
const HALT_EVERY_MS = 1_000;
/** Distinct places that are told. */
const PLACES_MAX = 20;

/** Finds out which line of a scenario blocks the loop. A blocked loop cannot say so itself: a thread sees that its signs of life stop,
 *  halts it through the inspector, and reads the stack. While nothing is blocked this costs a counter 50 times a second here and a look
 *  at it there: the inspector is not connected, for with it code takes twice its time.
 *
 *  Being halted takes the loop some 20 ms, and the first time a tenth of a second more, in which a block may be over and the stack another's.
 *  So `open` connects once before there is anything to watch. */
export class LoopWatch {
  private readonly origin: ScriptOrigin;
  private readonly worker: Worker;
  private readonly ready: Promise<void>;
  private readonly ended: Promise<void>;
  private readonly beating: NodeJS.Timeout;
  private readonly found = new Map<string, { times: number; longestMs: number }>();

  /** Resolves when it is ready to halt the loop quickly. It stands still meanwhile, for about a tenth of a second. */
  static async open(origin: ScriptOrigin): Promise<LoopWatch> {
    const watch = new LoopWatch(origin);
    await Promise.race([watch.ready, watch.ended]);
    return watch;
  }

  private constructor(origin: ScriptOrigin) {
    this.origin = origin;
    const beat = new Int32Array(new SharedArrayBuffer(4));
    this.worker = new Worker(PROGRAM, { eval: true, workerData: { beat }, stdout: false, stderr: false });
    this.ready = new Promise((resolve) => {
      this.worker.once('message', () => {
        this.worker.unref();
        resolve();
      });
    });
    this.ended = new Promise((resolve) => {
      this.worker.on('message', (message: Halt | 'ready' | 'end') => {
        if (message === 'end') resolve();
        else if (message !== 'ready') this.note(message);
      });
      // A watch that fails names nothing; the stall itself is still measured.
      this.worker.on('error', () => {
        resolve();
      });
    });
    this.beating = setInterval(() => {
      Atomics.add(beat, 0, 1);
    }, BEAT_MS);
    this.beating.unref();
  }

  get blocks(): LoopBlock[] {
    return [...this.found].map(([where, { times, longestMs }]) => ({ where, times, longestMs }));
  }

  /** Waits for what the thread has still to tell. */
  async close(): Promise<void> {
    clearInterval(this.beating);
    this.worker.postMessage('end');
    await this.ended;
    await this.worker.terminate();
  }

  private note({ frames, scenario, after, blockedMs }: Halt): void {
    const own = frames
      .map(({ name, url, line, column }) => ({ name, place: this.origin.placeInBundle(url, line, column) }))
      .find(({ place }) => place !== undefined);
    if (own?.place === undefined) return;
    const name = own.name === '' ? 'a function' : own.name;
    const where = `${name} (${own.place}), scenario ${scenario}${after === '' ? '' : `, after "${after}"`}`;
    const known = this.found.get(where);
    if (known !== undefined) {
      known.times++;
      known.longestMs = Math.max(known.longestMs, blockedMs);
    } else if (this.found.size < PLACES_MAX) this.found.set(where, { times: 1, longestMs: blockedMs });
  }
}

/** One block, as the thread saw it. Lines and columns are 0-based positions in the bundle. */
interface Halt {
  readonly frames: readonly { readonly name: string; readonly url: string; readonly line: number; readonly column: number }[];
  readonly scenario: string;
  readonly after: string;
  readonly blockedMs: number;
}

/** The thread's whole program. Plain text, because a worker of TypeScript source has no loader of its own. It tells of a block when it is
 *  over, so that its length is known. */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const { Session } = require('node:inspector');
const { beat } = workerData;
const session = new Session();
const urls = new Map();
session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url));
session.connectToMainThread();
session.post('Debugger.enable', () => {
  session.disconnect();
  urls.clear();
  watch();
  parentPort.postMessage('ready');
});
const watch = () => setInterval(look, ${BEAT_MS});
let last = Atomics.load(beat, 0);
let sinceMs = performance.now();
let beatMs = sinceMs;
let lookedMs = sinceMs;
let haltedMs = -Infinity;
let isHalting = false;
let isEnding = false;
let halt;
const tell = () => {
  if (halt !== undefined) parentPort.postMessage({ ...halt, blockedMs: performance.now() - beatMs });
  halt = undefined;
};
const look = () => {
  const nowMs = performance.now();
  const now = Atomics.load(beat, 0);
  // Where this thread was held up too, the whole process or machine was: that time is nobody's fault.
  sinceMs += Math.max(0, nowMs - lookedMs - 2 * ${BEAT_MS});
  lookedMs = nowMs;
  if (isHalting) return;
  if (now !== last) {
    tell();
    last = now;
    sinceMs = beatMs = nowMs;
  } else if (nowMs - sinceMs > ${BLOCKED_MS} && nowMs - haltedMs > ${HALT_EVERY_MS}) {
    haltedMs = nowMs;
    isHalting = true;
    session.connectToMainThread();
    session.post('Debugger.enable', () => session.post('Debugger.pause'));
  }
};
session.on('Debugger.paused', ({ params }) => {
  const frames = params.callFrames.map(({ functionName, location }) => ({
    name: functionName, url: urls.get(location.scriptId) ?? '', line: location.lineNumber, column: location.columnNumber ?? 0,
  }));
  const expression = "JSON.stringify(globalThis[Symbol.for('muster.running')])";
  session.post('Debugger.evaluateOnCallFrame', { callFrameId: params.callFrames[0].callFrameId, expression, returnByValue: true }, (_, answer) => {
    session.post('Debugger.resume', () => {
      session.disconnect();
      urls.clear();
      isHalting = false;
      const running = JSON.parse(answer?.result?.value ?? '{}');
      halt = { frames, scenario: running.scenario ?? '', after: running.after ?? '' };
      if (isEnding) end();
    });
  });
});
const end = () => {
  tell();
  parentPort.postMessage('end');
};
parentPort.on('message', () => {
  isEnding = true;
  if (!isHalting) end();
});
`;
