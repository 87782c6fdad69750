import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, makeFolders, reasonOf } from '../base/index.ts';
import type { MergedInterval } from '../stats/index.ts';
import { BUNDLE_FILES, type Manifest } from './bundle.ts';
import { formatHlogHead, formatHlogLine } from './hlog.ts';
import { IntervalLines, type AgentPart, type Defined } from './interval-lines.ts';
import { renderJson } from './json.ts';
import type { Summary } from './summary.ts';

/** Lengths of the two growing files, for a writer that continues where another stopped. */
export interface BundlePosition {
  readonly hlogBytes: number;
  readonly ndjsonBytes: number;
}

/** Bytes that wait for the disk. Past it the disk does not keep up with the run: the files are given up rather than the memory. */
const PENDING_BYTES_MAX = 64 * 1024 * 1024;

/** Writes a run bundle while the run goes on. All writes are serial, and awaiting one is the backpressure. A write that fails (disk
 *  full, file too large, no permission) never throws into the run: it is remembered in `failure`, the growing files are left alone
 *  from then on, and the JSON files are still attempted, because they tell the reader what is missing. */
export class BundleWriter {
  readonly dir: string;
  /** Why the bundle is not complete; `undefined` while it is. */
  failure: string | undefined;
  private readonly hlog: FileHandle;
  private readonly ndjson: FileHandle;
  private hlogBytes: number;
  private ndjsonBytes: number;
  private pendingBytes = 0;
  /** Lines that no write has taken yet. */
  private readonly waiting: Readonly<Record<'hlog' | 'ndjson', Buffer[]>> = { hlog: [], ndjson: [] };
  private tail: Promise<void> = Promise.resolve();
  /** Begins anew in a writer that resumes: series are then declared once more. */
  private readonly lines = new IntervalLines();
  private isClosed = false;

  private constructor(dir: string, hlog: FileHandle, ndjson: FileHandle, position: BundlePosition) {
    this.dir = dir;
    this.hlog = hlog;
    this.ndjson = ndjson;
    this.hlogBytes = position.hlogBytes;
    this.ndjsonBytes = position.ndjsonBytes;
  }

  /** Makes the folder and begins both growing files, or cuts them to `resume` and goes on there: what was written past a checkpoint
   *  is written again. Throws `OUT_UNWRITABLE`, since a run has not begun yet when this is called. */
  static async open(dir: string, startedAtUs: number, resume?: BundlePosition): Promise<BundleWriter> {
    const opened: FileHandle[] = [];
    try {
      await makeFolders(dir);
      const flags = resume === undefined ? 'w' : 'r+';
      const hlog = await open(join(dir, BUNDLE_FILES.intervals), flags);
      opened.push(hlog);
      const ndjson = await open(join(dir, BUNDLE_FILES.agents), flags);
      opened.push(ndjson);
      if (resume !== undefined) {
        await cutTo(hlog, resume.hlogBytes);
        await cutTo(ndjson, resume.ndjsonBytes);
      }
      const writer = new BundleWriter(dir, hlog, ndjson, resume ?? { hlogBytes: 0, ndjsonBytes: 0 });
      if (resume === undefined) await writer.append('hlog', formatHlogHead(startedAtUs));
      return writer;
    } catch (cause) {
      for (const handle of opened) await handle.close();
      throw AppError.from(cause, 'OUT_UNWRITABLE', `cannot write the run bundle to ${dir}`);
    }
  }

  /** Where the next lines go. Complete and on their way to disk once all promises so far are settled. */
  get position(): BundlePosition {
    return { hlogBytes: this.hlogBytes, ndjsonBytes: this.ndjsonBytes };
  }

  /** Ends an interval: one line of the log per trend, and one line of `intervals.ndjson` with what a log does not keep exactly. Its
   *  counters, rates and gauges stand there already, agent by agent. */
  appendInterval(interval: MergedInterval, startUs: number, lengthUs: number): Promise<void> {
    if (this.failure !== undefined) return this.tail;
    let lines = '';
    for (const { metric, tags, value } of interval.series) {
      if (value.kind === 'trend' && value.histogram.count > 0) {
        lines += formatHlogLine({ metric, tags, startUs, lengthUs, histogram: value.histogram });
      }
    }
    void this.append('hlog', lines);
    return this.append('ndjson', this.lines.closedLine(interval));
  }

  /** Counters, rates, gauges, ledger and health of one agent in one interval. To be called before the interval is ended. */
  appendBatch(part: AgentPart, defined: Defined): Promise<void> {
    if (this.failure !== undefined) return this.tail;
    return this.append('ndjson', this.lines.agentLine(part, defined));
  }

  writeRun(manifest: Manifest): Promise<void> {
    return this.writeWhole(BUNDLE_FILES.manifest, `${JSON.stringify(manifest, null, 2)}\n`);
  }

  writeSummary(summary: Summary): Promise<void> {
    return this.writeWhole(BUNDLE_FILES.summary, renderJson(summary));
  }

  /** Replaces the checkpoint, once everything appended so far is on disk: `text` describes the files as they are at this call.
   *  Rejects when it cannot be written; the checkpoint before it stands then. */
  async writeCheckpoint(text: string): Promise<void> {
    let failure: unknown;
    await this.queue(async () => {
      try {
        if (this.failure !== undefined) throw new Error(this.failure);
        await this.hlog.datasync();
        await this.ndjson.datasync();
        const temporary = join(this.dir, `.${BUNDLE_FILES.checkpoint}.tmp`);
        await writeSynced(temporary, text);
        await rename(temporary, join(this.dir, BUNDLE_FILES.checkpoint));
      } catch (thrown) {
        failure = thrown;
      }
    });
    if (failure !== undefined) throw new Error(reasonOf(failure), { cause: failure });
  }

  /** The run is over and told: nobody continues here. */
  async removeCheckpoint(): Promise<void> {
    await rm(join(this.dir, BUNDLE_FILES.checkpoint), { force: true });
  }

  /** Writes a further file of the bundle (the HTML report) as a whole or not at all. */
  writeWhole(name: string, text: string): Promise<void> {
    return this.queue(async () => {
      const temporary = join(this.dir, `.${name}.tmp`);
      try {
        await writeSynced(temporary, text);
        await rename(temporary, join(this.dir, name));
      } catch (cause) {
        this.failed(name, cause);
        await rm(temporary, { force: true }).catch(() => undefined); // The failure is noted; a leftover is all that remains.
      }
    });
  }

  /** Waits for every write and closes the files. Closing twice is allowed. */
  close(): Promise<void> {
    if (this.isClosed) return this.tail;
    this.isClosed = true;
    return this.queue(async () => {
      for (const [name, handle] of [
        [BUNDLE_FILES.intervals, this.hlog],
        [BUNDLE_FILES.agents, this.ndjson],
      ] as const) {
        try {
          if (this.failure === undefined) await handle.sync();
          await handle.close();
        } catch (cause) {
          this.failed(name, cause);
        }
      }
    });
  }

  private append(file: 'hlog' | 'ndjson', text: string): Promise<void> {
    if (this.failure !== undefined || this.isClosed || text === '') return this.tail;
    const bytes = Buffer.from(text);
    if (this.pendingBytes + bytes.length > PENDING_BYTES_MAX) {
      this.failed(this.fileName(file), new Error(`the disk does not keep up: ${this.pendingBytes} bytes wait to be written`));
      return this.tail;
    }
    this.pendingBytes += bytes.length;
    const at = file === 'hlog' ? this.hlogBytes : this.ndjsonBytes;
    if (file === 'hlog') this.hlogBytes += bytes.length;
    else this.ndjsonBytes += bytes.length;
    const waiting = this.waiting[file];
    waiting.push(bytes);
    // A thousand agents say a thousand lines a second: those that wait go with one write.
    if (waiting.length > 1) return this.tail;
    return this.queue(async () => {
      const together = Buffer.concat(waiting.splice(0));
      try {
        if (this.failure === undefined) await writeAll(file === 'hlog' ? this.hlog : this.ndjson, together, at);
      } catch (cause) {
        this.failed(this.fileName(file), cause);
      } finally {
        this.pendingBytes -= together.length;
      }
    });
  }

  private fileName(file: 'hlog' | 'ndjson'): string {
    return file === 'hlog' ? BUNDLE_FILES.intervals : BUNDLE_FILES.agents;
  }

  private failed(name: string, cause: unknown): void {
    this.failure ??= `${name}: ${reasonOf(cause)}`;
  }

  private queue(work: () => Promise<void>): Promise<void> {
    this.tail = this.tail.then(work);
    return this.tail;
  }
}

async function cutTo(handle: FileHandle, bytes: number): Promise<void> {
  const { size } = await handle.stat();
  if (size < bytes) throw new RangeError(`expected at least ${bytes} bytes to continue from, found ${size}`);
  await handle.truncate(bytes);
}

/** A write may take only a part of what it is given, most of all shortly before the disk is full. */
async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written);
    if (bytesWritten === 0) throw new Error('the file takes no more bytes');
    written += bytesWritten;
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await writeAll(handle, Buffer.from(text), 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
