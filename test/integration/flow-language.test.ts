import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../shared/base/index.ts';
import type { Condition, Reference, Step, StepFlow } from '../../shared/plan/index.ts';
import { FlowBench, requestStep } from '../support/flow-bench.ts';
import { RecordingServer, type ReceivedRequest } from '../support/recording-server.ts';
import { waitUntil } from '../support/wait-until.ts';

let server: RecordingServer | undefined;
let bench: FlowBench | undefined;
afterEach(async () => {
  await bench?.close();
  await server?.stop();
  bench = server = undefined;
});

type Answer = (request: ReceivedRequest, number: number) => void;
const OK: Answer = (request) => {
  request.answer(200, '{}');
};
const ref = (name: string): Reference => ({ source: 'capture', name, field: '', as: 'url' });
const ALWAYS: Condition = [{ subject: { kind: 'constant', value: 1 }, test: { op: '==', value: 1 } }];

async function arranged(
  steps: (url: string) => readonly Step[],
  answer: Answer = OK,
  more: (url: string) => Partial<StepFlow> = () => ({}),
): Promise<{ readonly server: RecordingServer; readonly bench: FlowBench }> {
  server = await RecordingServer.start(answer);
  bench = await FlowBench.of({ kind: 'steps', steps: steps(server.url), ...more(server.url) });
  return { server, bench };
}

/** Durations under `metric` by name (or group) and error. */
function spans(metric: string): (readonly [string, string | undefined, number])[] {
  return (
    bench?.measured(metric).map(({ tags, histogram }) => [tags['name'] ?? tags['group'] ?? '', tags['error'], histogram.count] as const) ??
    []
  );
}

describe('what is measured over several steps', () => {
  test('a transaction with a failed request is recorded under its error, apart from those without', async () => {
    const { bench } = await arranged(
      (url) => [{ kind: 'transaction', name: 'buy', steps: [requestStep('a', url), requestStep('b', url)] }],
      (request, number) => {
        request.answer(number === 2 ? 500 : 200);
      },
    );
    const actor = bench.actor();
    await bench.iterate(actor);
    await bench.iterate(actor);
    expect(spans('transaction_duration')).toEqual([
      ['buy', undefined, 1],
      ['buy', 'status', 1],
    ]);
  });

  test('the first transaction of an iteration counts from the instant the plan wanted it', async () => {
    const { bench } = await arranged((url) => [{ kind: 'transaction', name: 'buy', steps: [requestStep('a', url)] }]);
    await bench.iterate(bench.actor(), 0, 500);
    expect(bench.measured('transaction_duration')[0]?.histogram.minUs).toBeGreaterThanOrEqual(500_000);
  });

  test('groups in groups tag what is inside with the names of both', async () => {
    const { bench } = await arranged((url) => [
      { kind: 'group', name: 'shop', steps: [{ kind: 'group', name: 'cart', steps: [requestStep('a', url)] }] },
    ]);
    await bench.iterate(bench.actor());
    expect(bench.measured('http_reqs').map(({ tags }) => tags['group'])).toEqual(['shop / cart']);
    expect(
      spans('group_duration')
        .map(([group]) => group)
        .sort(),
    ).toEqual(['shop', 'shop / cart']);
  });
});

describe('tries and waits', () => {
  test('every try of a retry is a request of its own, and only the last decides about the transaction around', async () => {
    const { bench } = await arranged(
      (url) => [
        {
          kind: 'transaction',
          name: 'buy',
          steps: [{ kind: 'retry', times: 3, waitUs: 1_000, backoff: 2, steps: [requestStep('a', url), requestStep('b', url)] }],
        },
      ],
      (request, number) => {
        request.answer(number < 2 ? 503 : 200);
      },
    );
    await bench.iterate(bench.actor());
    // A failed step ends its try: b is asked once.
    expect(bench.requests.map(({ name, status, count }) => [name, status, count])).toEqual([
      ['a', '503', 2],
      ['a', '200', 1],
      ['b', '200', 1],
    ]);
    expect(spans('transaction_duration')).toEqual([['buy', undefined, 1]]);
  });

  test('a poll that reaches its limit fails its transaction with poll-limit, and the flow goes on', async () => {
    const until: Condition = [{ subject: { kind: 'json', path: ['state'] }, test: { op: '==', value: 'ACTIVE' } }];
    const { bench, server } = await arranged((url) => [
      { kind: 'poll', name: 'boot', everyUs: 5_000, limitUs: 30_000, until, request: requestStep('get', `${url}/get`) },
      requestStep('next', `${url}/next`),
    ]);
    await bench.iterate(bench.actor());
    expect(spans('transaction_duration')).toEqual([['boot', 'poll-limit', 1]]);
    expect(bench.measured('transaction_duration')[0]?.histogram.minUs).toBeGreaterThanOrEqual(30_000);
    expect(server.requests.length).toBeGreaterThan(2);
    expect(server.requests.at(-1)?.url).toBe('/next');
  });

  test('requests in parallel are all under way at once, and what they capture is there afterwards', async () => {
    const waiting: ReceivedRequest[] = [];
    const { bench, server } = await arranged(
      (url) => [
        {
          kind: 'parallel',
          requests: ['a', 'b', 'c'].map((name) =>
            requestStep(name, `${url}/${name}`, { captures: [{ name, from: { kind: 'json', path: ['id'] } }] }),
          ),
        },
        requestStep('next', [`${url}/`, ref('a'), ref('b'), ref('c')]),
      ],
      (request) => {
        if (waiting.push(request) === 3) for (const one of waiting) one.answer(200, JSON.stringify({ id: `${one.url.slice(1)}!` }));
        if (waiting.length > 3) request.answer(200);
      },
    );
    await bench.iterate(bench.actor());
    expect(server.requests[3]?.url).toBe('/a!b!c!');
    expect(server.connections).toBe(3);
  });
});

describe('loops that could go on for ever', () => {
  test('a while past its limit ends the iteration and says so', async () => {
    const { bench, server } = await arranged((url) => [
      { kind: 'while', condition: ALWAYS, limit: 5, pacingUs: 0, steps: [requestStep('a', url)] },
      requestStep('never', url),
    ]);
    expect(await bench.iterate(bench.actor())).toMatchObject({ isCompleted: true });
    expect(server.requests).toHaveLength(5);
    expect(bench.scriptErrors.first).toBe('FlowFailure: a while of scenario browse still goes on after its limit of 5 turns');
  });

  test('a million turns of nothing leave the loop to others, and can be interrupted', async () => {
    const { bench } = await arranged((url) => [{ kind: 'loop', times: 1_000_000, pacingUs: 0, steps: [] }, requestStep('late', url)]);
    const actor = bench.actor();
    actor.start(0, 1, 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(bench.ended).toEqual([]);
    actor.interrupt();
    expect(bench.ended).toMatchObject([{ isCompleted: false }]);
  });

  test('turns that are no number, and a list that is none, end the iteration and say so', async () => {
    const { bench } = await arranged(
      (url) => [
        requestStep('a', url, { captures: [{ name: 'x', from: { kind: 'json', path: ['x'] } }] }),
        { kind: 'if', condition: [{ subject: { kind: 'status' }, test: { op: '==', value: 200 } }], then: [{ kind: 'loop', times: [ref('x')], pacingUs: 0, steps: [] }], else: [{ kind: 'foreach', item: 'i', list: 'x', pacingUs: 0, steps: [] }] }, // prettier-ignore
      ],
      (request, number) => {
        request.answer(number === 0 ? 200 : 201, '{"x":"many"}');
      },
    );
    const actor = bench.actor();
    await bench.iterate(actor);
    expect(bench.scriptErrors.first).toContain('expected a whole number of turns from 0 to 1000000, got "many"');
    await bench.iterate(actor);
    expect(bench.scriptErrors.count).toBe(2);
  });
});

describe('finally', () => {
  const captureId = { captures: [{ name: 'id', from: { kind: 'json', path: ['id'] } }] } as const;
  const cleanUp = (url: string): Partial<StepFlow> => ({
    finally: { steps: [requestStep('delete', [`${url}/delete/`, ref('id')]), requestStep('bye', `${url}/bye`)], limitUs: 10_000_000 },
  });

  test('runs after an interruption with what was captured, and only then the iteration ends, as interrupted', async () => {
    const { bench, server } = await arranged(
      (url) => [requestStep('create', url, captureId), requestStep('stalls', `${url}/stalls`)],
      (request) => {
        if (request.url !== '/stalls') request.answer(200, '{"id":7}');
      },
      cleanUp,
    );
    const actor = bench.actor();
    actor.start(0, 1, 1);
    await waitUntil('the stalled request arrived', () => server.requests.length === 2);
    actor.interrupt();
    actor.interrupt();
    expect(bench.ended).toEqual([]);
    await bench.untilEnded(1);
    expect(bench.ended).toMatchObject([{ isCompleted: false }]);
    expect(server.requests.map(({ url }) => url)).toEqual(['/', '/stalls', '/delete/7', '/bye']);
    expect(bench.measured('http_reqs').map(({ tags }) => [tags['name'], tags['phase']])).toEqual([
      ['create', undefined],
      ['stalls', undefined],
      ['delete', 'finally'],
      ['bye', 'finally'],
    ]);
    expect(actor.cleanUpUs).toBeGreaterThan(0);
  });

  test('leaves out a request that lacks a value, and goes on with the next', async () => {
    const { bench, server } = await arranged((url) => [requestStep('create', url, captureId)], OK, cleanUp);
    expect(await bench.iterate(bench.actor())).toMatchObject({ isCompleted: true });
    expect(server.requests.map(({ url }) => url)).toEqual(['/', '/bye']);
  });

  test('is given up at its limit, and the VU can go on with its next iteration', async () => {
    const { bench, server } = await arranged(
      (url) => [requestStep('a', url)],
      (request, number) => {
        if (number !== 1) request.answer(200);
      },
      (url) => ({ finally: { steps: [requestStep('stalls', `${url}/stalls`), requestStep('never', url)], limitUs: 30_000 } }),
    );
    const actor = bench.actor();
    expect(await bench.iterate(actor)).toMatchObject({ isCompleted: true });
    expect(bench.requests.find(({ name }) => name === 'stalls')).toMatchObject({ error: 'aborted', count: 1 });
    expect(await bench.iterate(actor, 1)).toMatchObject({ isCompleted: true });
    expect(server.requests).toHaveLength(5);
  });
});

test('with pacing an iteration lasts at least that long', async () => {
  const { bench } = await arranged(
    (url) => [requestStep('a', url)],
    OK,
    () => ({ pacingUs: 50_000 }),
  );
  const startedUs = systemClock.nowUs();
  const { endedUs } = await bench.iterate(bench.actor());
  // Node's timers may be a millisecond early.
  expect(endedUs - startedUs).toBeGreaterThanOrEqual(49_000);
});
