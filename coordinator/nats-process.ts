import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { AppError, type Clock } from '../shared/base/index.ts';

/** A private nats-server with JetStream on a free loopback port. */
export interface NatsProcess {
  readonly url: string;
  readonly pid: number;
  /** Ends it and removes its store. */
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 15_000;
const POLL_MS = 20;
const LOG_CHARS_MAX = 4_000;

/** Runs the server for as long as stdin is open, so that it never outlives its parent, however that ended. Its store goes with it. */
const LIFELINE = `
exec 3<&0
store=$1; shift
"$@" </dev/null 3<&- & server=$!
(cat <&3 >/dev/null; kill "$server") 2>/dev/null & lifeline=$!
wait "$server"; code=$?
kill "$lifeline" 2>/dev/null
rm -rf "$store"
exit "$code"
`;

/** Throws `AppError('NATS_SERVER_MISSING')` when there is no server program, `AppError('NATS_UNAVAILABLE')` when it does not come up. */
export async function startNats(clock: Clock): Promise<NatsProcess> {
  const program = findNatsServer();
  const store = await mkdtemp(join(tmpdir(), 'muster-nats-'));
  const port = await freePort();
  const args = ['-js', '-a', '127.0.0.1', '-p', String(port), '-sd', store];
  // Detached: Ctrl-C is for the run, which still needs its results plane to report.
  const child = spawn('sh', ['-c', LIFELINE, 'nats', store, program, ...args], { stdio: ['pipe', 'ignore', 'pipe'], detached: true });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-LOG_CHARS_MAX);
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await exited;
  };
  const giveUpUs = clock.nowUs() + START_TIMEOUT_MS * 1000;
  while (!log.includes('Server is ready')) {
    if (hasEnded(child) || clock.nowUs() > giveUpUs) {
      await stop();
      throw new AppError('NATS_UNAVAILABLE', `${program} did not come up: ${log.trim().split('\n').at(-1) ?? 'it said nothing'}`);
    }
    await clock.sleep(POLL_MS);
  }
  return { url: `nats://127.0.0.1:${port}`, pid: child.pid ?? 0, stop };
}

/** `$MUSTER_NATS_SERVER`, then `PATH`, then the set-up's cache. */
function findNatsServer(): string {
  const given = process.env['MUSTER_NATS_SERVER'];
  if (given !== undefined && given !== '') {
    if (isProgram(given)) return given;
    throw new AppError('NATS_SERVER_MISSING', `MUSTER_NATS_SERVER is ${given}, which is not a program`);
  }
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  // Debian's package puts it where only root's PATH looks.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', join(cache, 'muster')];
  const found = folders.map((folder) => join(folder, 'nats-server')).find(isProgram);
  if (found !== undefined) return found;
  throw new AppError(
    'NATS_SERVER_MISSING',
    'no nats-server found; get one with "npm run setup", "apt-get install nats-server", or from https://nats.io/download, or name one in MUSTER_NATS_SERVER',
  );
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Not there, or not ours to run: either way not a program to us.
    return false;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
