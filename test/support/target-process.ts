import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TargetAnswer, TargetCommand } from './target-main.ts';
import type { Behaviour, TargetLog, TargetOptions } from './target.ts';

/** The programmable target in a process of its own. */
export class TargetProcess {
  readonly port: number;
  private readonly child: ChildProcess;
  /** Answers carry no number, so one question is asked after another. */
  private asked: Promise<unknown> = Promise.resolve();

  private constructor(child: ChildProcess, port: number) {
    this.child = child;
    this.port = port;
  }

  static async start(options: TargetOptions = {}): Promise<TargetProcess> {
    const child = fork(join(import.meta.dirname, 'target-main.ts'), { execArgv: ['--import', 'tsx'], serialization: 'advanced' });
    const answer = await ask(child, { kind: 'start', options });
    if (answer.kind !== 'port') throw new Error(`target process answered ${answer.kind}`);
    return new TargetProcess(child, answer.port);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async behave(path: string, behaviour: Behaviour): Promise<void> {
    await this.ask({ kind: 'behave', path, behaviour });
  }

  async freeze(fromUs: number, toUs: number): Promise<void> {
    await this.ask({ kind: 'freeze', fromUs, toUs });
  }

  async freezeAfterFirst(afterUs: number, forUs: number): Promise<void> {
    await this.ask({ kind: 'freeze-after-first', afterUs, forUs });
  }

  async log(): Promise<TargetLog> {
    const answer = await this.ask({ kind: 'log' });
    if (answer.kind !== 'log') throw new Error(`target process answered ${answer.kind}`);
    return answer.log;
  }

  /** Requests seen so far: cheap to ask, unlike the log. */
  async total(): Promise<number> {
    const answer = await this.ask({ kind: 'total' });
    if (answer.kind !== 'total') throw new Error(`target process answered ${answer.kind}`);
    return answer.total;
  }

  async reset(): Promise<void> {
    await this.ask({ kind: 'reset' });
  }

  private ask(command: TargetCommand): Promise<TargetAnswer> {
    const answered = this.asked.then(() => ask(this.child, command));
    this.asked = answered.catch(() => undefined);
    return answered;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }
}

function ask(child: ChildProcess, command: TargetCommand): Promise<TargetAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      child.off('message', onMessage);
      child.off('exit', onExit);
    };
    const onMessage = (answer: TargetAnswer): void => {
      settle();
      if (answer.kind === 'failed') reject(new Error(`target process: ${answer.reason}`));
      else resolve(answer);
    };
    const onExit = (code: number | null): void => {
      settle();
      reject(new Error(`target process ended with ${String(code)}`));
    };
    child.on('message', onMessage);
    child.on('exit', onExit);
    child.send(command);
  });
}
