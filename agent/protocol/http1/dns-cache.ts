import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import type { DnsSettings } from '../../../shared/plan/index.ts';
import type { Clock } from '../../../shared/base/index.ts';

/** Names known at once; past it the one known longest is asked again when it is next needed. */
const NAMES_MAX = 1024;

interface Answer {
  readonly addresses: readonly LookupAddress[];
  readonly untilUs: number;
  /** How many connections took one of its addresses. */
  uses: number;
}

/** Asks for all addresses of a name. */
export type Resolve = (host: string, done: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void) => void;

/** The system's own way: hosts file, resolver configuration and all. */
const resolveWithSystem: Resolve = (host, done) => {
  lookup(host, { all: true, order: 'verbatim' }, done);
};

type Waiting = (error: NodeJS.ErrnoException | null, answer: Answer | undefined) => void;

/** Resolves names for all connections of an agent: one question per name and lifetime, however many connections wait for the answer,
 *  and the answer's addresses in turn. Failures are not remembered. */
export class DnsCache {
  private readonly settings: DnsSettings;
  private readonly clock: Clock;
  private readonly resolve: Resolve;
  private readonly answers = new Map<string, Answer>();
  private readonly asked = new Map<string, Waiting[]>();

  constructor(settings: DnsSettings, clock: Clock, resolve: Resolve = resolveWithSystem) {
    this.settings = settings;
    this.clock = clock;
    this.resolve = resolve;
  }

  /** As `net.connect` calls it. With `all`, the address whose turn it is comes first. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    this.find(host, (error, answer) => {
      if (error !== null || answer === undefined) {
        callback(error, '', 0);
        return;
      }
      const { addresses } = answer;
      const first = this.settings.pick === 'first' ? 0 : answer.uses++ % addresses.length;
      const turned = [...addresses.slice(first), ...addresses.slice(0, first)];
      const [next = { address: '', family: 0 }] = turned;
      if (options.all === true) callback(null, turned);
      else callback(null, next.address, next.family);
    });
  };

  private find(host: string, done: Waiting): void {
    const known = this.answers.get(host);
    if (known !== undefined && this.clock.nowUs() < known.untilUs) {
      // Never within the call: a socket does not yet listen to itself then.
      process.nextTick(done, null, known);
      return;
    }
    const waiting = this.asked.get(host);
    if (waiting !== undefined) {
      waiting.push(done);
      return;
    }
    this.asked.set(host, [done]);
    this.resolve(host, (error, addresses) => {
      const all = this.asked.get(host) ?? [];
      this.asked.delete(host);
      const answer = error === null && addresses.length > 0 ? this.remember(host, addresses) : undefined;
      for (const each of all) each(error, answer);
    });
  }

  private remember(host: string, addresses: readonly LookupAddress[]): Answer {
    const [oldest = ''] = this.answers.keys();
    if (this.answers.size >= NAMES_MAX) this.answers.delete(oldest);
    // The turn goes on where the last answer left it.
    const uses = this.answers.get(host)?.uses ?? 0;
    const answer = { addresses, untilUs: this.clock.nowUs() + this.settings.ttlMs * 1000, uses };
    this.answers.delete(host);
    this.answers.set(host, answer);
    return answer;
  }
}

/** Whether connecting to `host` asks for a name at all. */
export function isName(host: string): boolean {
  return isIP(host) === 0;
}
