import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What an agent process is told; see `agent/main.ts`, which reads it from `MUSTER_AGENT_OPTIONS`. */
export interface AgentProcessOptions {
  readonly agentId?: string;
  readonly coordinator: string;
  readonly natsUrl: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly capacity?: number;
  readonly allow?: readonly string[];
  readonly joinToken?: string;
  readonly connectTimeoutMs?: number;
}

export interface AgentProcess {
  readonly pid: number;
  /** Its exit code, or 1 when a signal ended it. */
  readonly exited: Promise<number>;
  stop(): void;
}

/** Starts one agent process. It ends when this process does, however that happens: the channel between them is its lifeline. */
export function startAgent(options: AgentProcessOptions, logLevel: string): AgentProcess {
  const compiled = fileURLToPath(new URL('../agent/main.js', import.meta.url));
  const source = fileURLToPath(new URL('../agent/main.ts', import.meta.url));
  const child: ChildProcess = fork(existsSync(compiled) ? compiled : source, [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, MUSTER_AGENT_OPTIONS: JSON.stringify(options), MUSTER_AGENT_LOG: logLevel },
  });
  return {
    pid: child.pid ?? 0,
    exited: new Promise((resolve) => {
      child.once('exit', (code) => {
        resolve(code ?? 1);
      });
    }),
    stop: () => {
      if (child.connected) child.disconnect();
    },
  };
}
