import { numberIn, timed } from '../timed.ts';
import { CONNECTIONS, type Peer } from './peer.ts';

export const wrk: Peer = {
  name: 'wrk',
  program: 'wrk',
  // It parses nothing: of a step it does the GET alone, which is the yardstick.
  tasks: ['get', 'step', 'https'],
  async saturate(_task, url, seconds) {
    const { output, cpuUs, rssBytes } = await timed('wrk', ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, url]);
    return { requests: numberIn(output, /(\d+) requests in/), cpuUs, rssBytes };
  },
};

export const wrk2: Peer = {
  name: 'wrk2',
  program: 'wrk2',
  tasks: [],
  saturate() {
    throw new Error('it only knows constant rates');
  },
  async pace(url, rate, seconds) {
    const flags = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, `-R${rate}`, '--latency', url];
    const { output, cpuUs, rssBytes } = await timed('wrk2', flags);
    const [, number = '', unit = ''] = /99\.000%\s+([\d.]+)(us|ms|s)/.exec(output) ?? [];
    const p99Ms = Number(number) * ({ us: 0.001, ms: 1, s: 1000 }[unit] ?? NaN);
    return { cost: { requests: numberIn(output, /(\d+) requests in/), cpuUs, rssBytes }, p99Ms };
  },
};
