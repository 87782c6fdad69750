/** Runs autocannon in a process of its own and prints what it cost: the load alone, without loading the program. URL, seconds, and a
 *  rate, 0 for none. */
import autocannon from 'autocannon';
import { CONNECTIONS } from './peer.ts';

const [url = '', seconds, rate] = process.argv.slice(2);
const before = process.cpuUsage();
const pace = Number(rate) === 0 ? {} : { overallRate: Number(rate) };
// What it says of certificates is node's.
process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
const { requests, latency } = await autocannon({ url, connections: CONNECTIONS, duration: Number(seconds), ...pace });
const { user, system } = process.cpuUsage(before);
process.stdout.write(`${JSON.stringify({ requests: requests.total, cpuUs: user + system, p99Ms: latency.p99 })}\n`);
