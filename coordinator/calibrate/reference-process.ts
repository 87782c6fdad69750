import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { AppError } from '../../shared/base/index.ts';
import type { ReferenceAnswer } from './reference-main.ts';
import type { ReferenceLog } from './reference-server.ts';

/** The parent's end of the reference server. */
export interface ReferenceProcess {
  readonly url: string;
  /** What it did since it was last asked. */
  takeLog(): Promise<ReferenceLog>;
  stop(): Promise<void>;
}

/** Throws `AppError('PORT_TAKEN')` when it cannot listen on loopback. */
export async function startReference(): Promise<ReferenceProcess> {
  const compiled = fileURLToPath(new URL('./reference-main.js', import.meta.url));
  const source = fileURLToPath(new URL('./reference-main.ts', import.meta.url));
  const child = fork(existsSync(compiled) ? compiled : source, [], { serialization: 'advanced' });
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    if (child.connected) child.disconnect();
    await exited;
  };
  const first = await answerOf(child);
  if (first.kind !== 'listening') {
    await stop();
    throw new AppError('PORT_TAKEN', `the reference server cannot listen: ${first.kind === 'failed' ? first.reason : first.kind}`);
  }
  return {
    url: `http://127.0.0.1:${first.port}`,
    takeLog: async () => {
      const answered = answerOf(child);
      child.send('log');
      const answer = await answered;
      if (answer.kind !== 'log') throw lost(answer.kind === 'failed' ? answer.reason : answer.kind);
      return answer.log;
    },
    stop,
  };
}

function answerOf(child: ChildProcess): Promise<ReferenceAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      child.off('message', onMessage);
      child.off('exit', onExit);
    };
    const onMessage = (answer: ReferenceAnswer): void => {
      settle();
      resolve(answer);
    };
    const onExit = (code: number | null): void => {
      settle();
      reject(lost(`it ended with ${String(code)}`));
    };
    child.on('message', onMessage);
    child.on('exit', onExit);
  });
}

function lost(reason: string): AppError {
  return new AppError('CONNECTION_LOST', `the reference server: ${reason}`);
}
