import { renderProgress, type Snapshot } from '../../shared/report/index.ts';

/** Where the stream has no width, or a terminal says 0. */
const WIDTH_DEFAULT = 120;

/** Progress on a terminal: one line that is written over, about once a second. Where stderr is no terminal (CI), a line each time. */
export class Progress {
  private readonly stream: NodeJS.WriteStream;
  private readonly isQuiet: boolean;
  private hasLine = false;

  constructor(stream: NodeJS.WriteStream, isQuiet: boolean) {
    this.stream = stream;
    this.isQuiet = isQuiet;
  }

  show(snapshot: Snapshot): void {
    if (this.isQuiet) return;
    for (const event of snapshot.events) this.say(event);
    if (this.stream.isTTY) {
      this.stream.write(`\r\u001b[K${renderProgress(snapshot, (this.stream.columns || WIDTH_DEFAULT) - 1)}`);
      this.hasLine = true;
    } else {
      this.stream.write(`${renderProgress(snapshot, WIDTH_DEFAULT)}\n`);
    }
  }

  /** A line that stays. */
  say(text: string): void {
    if (this.isQuiet) return;
    this.end();
    this.stream.write(`${text}\n`);
  }

  /** Leaves the line that was written over. */
  end(): void {
    if (this.hasLine) this.stream.write('\n');
    this.hasLine = false;
  }
}
