import { constants } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { imbalances } from '../../shared/stats/index.ts';
import { Cluster, metricOf, type ClusterRun } from '../support/cluster.ts';
import { startHttp2Server, type Http2Server } from '../support/http2-server.ts';

const RESET_NTH = 7;
const GOODBYE_NTH = 40;

describe('a run over HTTP/2', () => {
  let cluster: Cluster;
  let server: Http2Server;
  /** On shared connections a goodbye may refuse streams that this server has counted already: what it saw is then no measure of what failed.
   *  Those are looked at one by one in `integration/http2-client`. */
  let isSayingGoodbye = true;

  beforeAll(async () => {
    server = await startHttp2Server((stream, _, number) => {
      if (isSayingGoodbye && number % GOODBYE_NTH === 0) stream.session?.goaway(constants.NGHTTP2_NO_ERROR);
      if (number % RESET_NTH === 0) {
        stream.close(constants.NGHTTP2_INTERNAL_ERROR);
        return;
      }
      stream.respond({ ':status': 200 });
      stream.end('hi');
    });
    cluster = await Cluster.start(3);
  });
  afterAll(async () => {
    await cluster.stop();
    await server.close();
  });

  test.each([
    ['one connection per VU counts what the target saw, through goodbyes and resets in the middle of it', 'per-vu'],
    ['connections shared by all VUs of an agent counts what the target saw, through resets in the middle of it', { shared: 2 }],
  ])('with %s', async (_, connections) => {
    isSayingGoodbye = connections === 'per-vu';
    const before = server.arrived;
    const load = { executor: 'constant-arrival-rate', rate: 200, duration: '3s', flow: [{ get: '/' }, { post: '/', json: { a: 1 } }] };
    const run: ClusterRun = await cluster.run(
      { name: 'http2', target: server.url.slice(0, -1), http: { version: 2, connections }, scenarios: { load } },
      3,
    );
    const { ledger } = run.summary;
    expect(imbalances(ledger)).toEqual([]);
    const arrived = server.arrived - before;
    expect([ledger.completed, arrived]).toEqual([600, 1200]);
    expect(metricOf(run.summary, 'http_reqs', 'counter').count).toBe(arrived);
    const resets = Math.floor(server.arrived / RESET_NTH) - Math.floor(before / RESET_NTH);
    expect(metricOf(run.summary, 'http_req_failed', 'rate').passes).toBe(resets);
  });
});
