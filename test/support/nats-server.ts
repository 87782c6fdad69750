import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from './free-port.ts';
import { waitUntil } from './wait-until.ts';

/** Runs the server and kills it as soon as stdin closes, which it does when the test process is gone for whatever reason. */
const LIFELINE = `
"$@" </dev/null & server=$!
echo "$server"
exec 3<&0
(read -r _ <&3; kill -9 "$server") 2>/dev/null & lifeline=$!
wait "$server"; code=$?
kill "$lifeline" 2>/dev/null
exit "$code"
`;

const LOG_CHARS_MAX = 16_384;

interface Running {
  readonly wrapper: ChildProcess;
  readonly serverPid: number;
  readonly exited: Promise<unknown>;
}

/** One server of a cluster. */
interface Membership {
  readonly name: string;
  /** The port on which the servers of the cluster reach this one, and those of all of them. */
  readonly port: number;
  readonly routes: readonly number[];
}

/** A private JetStream server on a free loopback port with its own store, which survives `kill9` and `restart`. One per test file. */
export class NatsServer {
  readonly port: number;
  private readonly directory: string;
  private readonly membership: Membership | undefined;
  private running: Running | undefined;
  private log = '';

  private constructor(port: number, directory: string, membership?: Membership) {
    this.port = port;
    this.directory = directory;
    this.membership = membership;
  }

  static async start(): Promise<NatsServer> {
    const server = new NatsServer(await freePort(), await mkdtemp(join(tmpdir(), 'muster-nats-')));
    await server.launch();
    return server;
  }

  /** Servers that know each other; resolves when they have agreed on who leads. A stream of theirs may have as many replicas. */
  static async startCluster(size: number): Promise<NatsServer[]> {
    const routes: number[] = [];
    while (routes.length < size) routes.push(await freePort());
    const servers: NatsServer[] = [];
    for (const [position, port] of routes.entries()) {
      const membership = { name: `node-${position + 1}`, port, routes };
      servers.push(new NatsServer(await freePort(), await mkdtemp(join(tmpdir(), 'muster-nats-')), membership));
    }
    await Promise.all(servers.map((server) => server.launch()));
    await waitUntil(
      'the servers have agreed on a leader',
      () => servers.some(({ log }) => log.includes('JetStream cluster new metadata leader')),
      30_000,
    );
    return servers;
  }

  /** Its name in a cluster; empty alone. */
  get name(): string {
    return this.membership?.name ?? '';
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Of the server itself; 0 while it does not run. */
  get pid(): number {
    return this.running?.serverPid ?? 0;
  }

  /** As a power cut does it: no goodbye to anybody. Resolves when the process is gone. */
  async kill9(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** It stands still, as with a disk that does not answer: connections stay, nothing is said. Resolves when it does: until one of its threads
   *  has taken the signal, which may wait for a core, the others go on. */
  async freeze(): Promise<void> {
    if (this.running === undefined) return;
    const { serverPid } = this.running;
    process.kill(serverPid, 'SIGSTOP');
    await waitUntil('the server stands still', async () => (await threadStates(serverPid)).every((state) => state === 'T'));
  }

  thaw(): void {
    if (this.running !== undefined) process.kill(this.running.serverPid, 'SIGCONT');
  }

  /** The same port, the same store. Stops the server first when it still runs. */
  async restart(): Promise<void> {
    await this.end('SIGTERM');
    await this.launch();
  }

  async stop(): Promise<void> {
    await this.end('SIGTERM');
    await rm(this.directory, { recursive: true, force: true });
  }

  private async launch(): Promise<void> {
    const arguments_ = ['-js', '-a', '127.0.0.1', '-p', String(this.port), '-sd', this.directory, ...clusterArguments(this.membership)];
    const wrapper = spawn('sh', ['-c', LIFELINE, 'sh', natsServerBinary(), ...arguments_], { stdio: ['pipe', 'pipe', 'pipe'] });
    const exited = once(wrapper, 'exit');
    wrapper.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.log = (this.log + text).slice(-LOG_CHARS_MAX);
    });
    const [line] = (await once(wrapper.stdout, 'data')) as [Buffer];
    this.running = { wrapper, serverPid: Number.parseInt(line.toString('utf8'), 10), exited };
    const ready = waitUntil(`nats-server accepts connections on port ${this.port}`, () => servesJetStream(this.port));
    const ended = exited.then(() => {
      throw new Error(`nats-server ended before it was ready:\n${this.log}`);
    });
    await Promise.race([ready, ended]);
    // From here on the end of the server is the test's business.
    ended.catch(() => {});
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const running = this.running;
    if (running === undefined) return;
    this.running = undefined;
    if (running.wrapper.exitCode === null && running.wrapper.signalCode === null) process.kill(running.serverPid, signal);
    await running.exited;
  }
}

function clusterArguments(membership: Membership | undefined): string[] {
  if (membership === undefined) return [];
  const { name, port, routes } = membership;
  const others = routes.map((route) => `nats://127.0.0.1:${route}`).join(',');
  return ['-n', name, '-cluster_name', 'muster', '-cluster', `nats://127.0.0.1:${port}`, '-routes', others];
}

/** In the order of the set-up script, which sees to it that there is one: `$MUSTER_NATS_SERVER`, PATH, the set-up cache. */
function natsServerBinary(): string {
  const given = process.env['MUSTER_NATS_SERVER'];
  if (given !== undefined && given !== '') return given;
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'muster');
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), cache];
  const found = directories.map((directory) => join(directory, 'nats-server')).find(isExecutable);
  if (found === undefined) throw new Error('there is no nats-server: run npm run setup');
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Whatever the reason, the next directory is asked.
    return false;
  }
}

/** The server greets every connection with what it can do. */
function servesJetStream(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let greeting = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      greeting += text;
      if (greeting.includes('\r\n')) socket.destroy();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(greeting.startsWith('INFO ') && greeting.includes('"jetstream":true')));
  });
}

/** One letter for each thread, as proc(5) has them. */
async function threadStates(pid: number): Promise<string[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  const stats = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8')));
  // The name of a program comes before it, in brackets, and may hold anything.
  return stats.map((stat) => stat.split(') ').at(-1)?.[0] ?? '');
}
