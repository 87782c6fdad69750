/** What the script that runs right now belongs to. Written whenever a script goes on, read by a thread while the loop stands still. */
export interface Running {
  scenario: string;
  /** The request whose answer it was given last; empty at the beginning of an iteration. */
  after: string;
}

/** The process's one mark, under a symbol by which a debugger finds it. */
export const running: Running = { scenario: '', after: '' };
Object.defineProperty(globalThis, Symbol.for('muster.running'), { value: running });
