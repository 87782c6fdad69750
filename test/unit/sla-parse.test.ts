import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { selectorText } from '../../shared/report/summary.ts';
import { parseThreshold } from '../../shared/sla/index.ts';

const TREND = 'http_req_duration';

describe('a legal threshold', () => {
  const legal: readonly (readonly [metric: string, expression: string, aggregation: object, comparison: string, bound: number])[] = [
    [TREND, 'p(95)<250', { kind: 'percentile', percentile: 95 }, '<', 250],
    [TREND, 'p(99.9)<250', { kind: 'percentile', percentile: 99.9 }, '<', 250],
    [TREND, 'p(0)>=1', { kind: 'percentile', percentile: 0 }, '>=', 1],
    [TREND, 'p(100)<1000', { kind: 'percentile', percentile: 100 }, '<', 1000],
    [TREND, 'p( 99 ) < 250', { kind: 'percentile', percentile: 99 }, '<', 250],
    [TREND, '  p(95)   <=   250.5  ', { kind: 'percentile', percentile: 95 }, '<=', 250.5],
    [TREND, 'p(95)<1.5s', { kind: 'percentile', percentile: 95 }, '<', 1500],
    [TREND, 'p(95)<250ms', { kind: 'percentile', percentile: 95 }, '<', 250],
    [TREND, 'p(95)<500us', { kind: 'percentile', percentile: 95 }, '<', 0.5],
    [TREND, 'max<1m30s', { kind: 'max' }, '<', 90_000],
    [TREND, 'avg<=100', { kind: 'avg' }, '<=', 100],
    [TREND, 'med<50', { kind: 'med' }, '<', 50],
    [TREND, 'min>0', { kind: 'min' }, '>', 0],
    [TREND, 'min>=.5', { kind: 'min' }, '>=', 0.5],
    [TREND, 'max<1e3', { kind: 'max' }, '<', 1000],
    ['http_req_response_time', 'p(99)<250', { kind: 'percentile', percentile: 99 }, '<', 250],
    ['schedule_lag', 'max<10ms', { kind: 'max' }, '<', 10],
    ['http_req_failed', 'rate<0.01', { kind: 'rate' }, '<', 0.01],
    ['checks', 'rate>0.99', { kind: 'rate' }, '>', 0.99],
    ['checks', 'rate==1', { kind: 'rate' }, '==', 1],
    ['checks', 'rate===1', { kind: 'rate' }, '===', 1],
    ['http_reqs', 'count>100', { kind: 'count' }, '>', 100],
    ['http_reqs', 'rate>50', { kind: 'rate' }, '>', 50],
    ['dropped_iterations', 'count!=1', { kind: 'count' }, '!=', 1],
    ['data_received', 'count<1000000', { kind: 'count' }, '<', 1_000_000],
    ['vus', 'value<100', { kind: 'value' }, '<', 100],
  ];
  test.each(legal)('%s: %s', (metric, expression, aggregation, comparison, bound) => {
    expect(parseThreshold(metric, expression)).toEqual({
      metric,
      tags: {},
      expression: expression.trim(),
      aggregation,
      comparison,
      bound,
      abortOnFail: false,
      delayAbortEvalUs: 0,
      windowUs: undefined,
    });
  });

  const tagged: readonly (readonly [metric: string, tags: object])[] = [
    [`${TREND}{scenario:browse}`, { scenario: 'browse' }],
    [`${TREND}{scenario:browse,name:list products}`, { scenario: 'browse', name: 'list products' }],
    [`${TREND}{ scenario : browse , status : 200 }`, { scenario: 'browse', status: '200' }],
    [`${TREND}{name:GET http://127.0.0.1/a}`, { name: 'GET http://127.0.0.1/a' }],
    [`  ${TREND} {method:GET} `, { method: 'GET' }],
    [`${TREND}{name:"GET /items/{id}, first",'check':"it's: fine"}`, { name: 'GET /items/{id}, first', check: "it's: fine" }],
    [`${TREND}{name:don't,status:200}`, { name: "don't", status: '200' }],
    [`"${TREND}"{name:"a"}`, { name: 'a' }],
  ];
  test.each(tagged)('with tags: %s', (metric, tags) => {
    expect(parseThreshold(metric, 'p(95)<250')).toMatchObject({ metric: TREND, tags });
  });

  test('takes its options as durations', () => {
    const options = { abortOnFail: true, delayAbortEval: '5s', window: 10_000 };
    expect(parseThreshold(TREND, 'p(95)<250', options)).toMatchObject({
      abortOnFail: true,
      delayAbortEvalUs: 5_000_000,
      windowUs: 10_000_000,
    });
  });
});

describe('a wrong threshold is one plain sentence', () => {
  const wrong: readonly (readonly [metric: string, expression: string, problem: string])[] = [
    ['http_req_durations', 'p(95)<250', 'there is no metric "http_req_durations"; did you mean "http_req_duration"?'],
    ['latency', 'p(95)<250', 'there is no metric "latency"; the metrics are http_reqs, '],
    ['constructor', 'p(95)<250', 'there is no metric "constructor"'],
    ['', 'p(95)<250', 'expected a metric such as'],
    ['http req duration', 'p(95)<250', 'expected a metric such as'],
    [`${TREND}{scenario:browse`, 'p(95)<250', 'expected a metric such as'],
    [`${TREND}{}`, 'p(95)<250', 'expected tags as {name:value,name:value}, got "{}"'],
    [`${TREND}{scenario}`, 'p(95)<250', 'expected tags as'],
    [`${TREND}{scenario:}`, 'p(95)<250', 'expected tags as'],
    [`${TREND}{scenario:a,}`, 'p(95)<250', 'expected tags as'],
    [`${TREND}{name:/items/{id}}`, 'p(95)<250', 'expected tags as'],
    [`${TREND}{scenario:a,scenario:b}`, 'p(95)<250', 'the tag "scenario" stands twice'],
    [TREND, '', 'expected a condition such as p(95)<250, got ""'],
    [TREND, 'p(95)', 'expected a condition such as p(95)<250'],
    [TREND, 'p(95)<', 'expected a condition such as p(95)<250'],
    [TREND, '<250', 'expected a condition such as p(95)<250'],
    [TREND, 'p(95)=250', 'expected a condition such as p(95)<250'],
    [TREND, 'p(95)<<250', 'expected a condition such as p(95)<250'],
    [TREND, 'p95<250', 'expected a condition such as p(95)<250'],
    [TREND, 'p(95)<fast', 'expected a number of milliseconds, or a duration such as 1.5s after <, got "fast"'],
    [TREND, 'p(95)<250 parsecs', 'got "250 parsecs"'],
    [TREND, 'p(95)<NaN', 'got "NaN"'],
    [TREND, 'p(95)<1e999', 'got "1e999"'],
    [TREND, 'p(101)<250', 'expected a percentile between p(0) and p(100), got "p(101)"'],
    [TREND, 'p(-1)<250', 'expected a percentile between p(0) and p(100)'],
    [TREND, 'p()<250', 'expected a percentile between p(0) and p(100)'],
    [TREND, 'p(abc)<250', 'expected a percentile between p(0) and p(100)'],
    [TREND, 'rate<0.1', '"rate" does not suit it, expected avg, min, med, max or p(N)'],
    [TREND, 'mean<100', '"mean" is unknown, expected avg, min, med, max or p(N)'],
    [TREND, 'AVG<100', '"AVG" is unknown'],
    ['http_req_failed', 'p(95)<250', 'http_req_failed is a rate: "p(95)" does not suit it, expected rate'],
    ['http_req_failed', 'rate<5', 'is a fraction between 0 and 1 (5 % is 0.05), got 5'],
    ['http_req_failed', 'rate<1%', 'expected a number after <, got "1%"'],
    ['http_reqs', 'avg>1', 'http_reqs is a counter: "avg" does not suit it, expected count or rate'],
    ['http_reqs', 'count>10s', 'expected a number after >, got "10s"'],
    ['vus', 'max<10', 'vus is a gauge: "max" does not suit it, expected value'],
  ];
  test.each(wrong)('%s: %s', (metric, expression, problem) => {
    const parsed = parseThreshold(metric, expression);
    expect(parsed).toHaveProperty('problem');
    expect('problem' in parsed ? parsed.problem : '').toContain(problem);
  });

  test('options that are no durations', () => {
    expect(parseThreshold(TREND, 'p(95)<250', { delayAbortEval: 'soon' })).toEqual({
      problem: 'delayAbortEval: expected a duration such as 5s, got "soon"',
    });
    expect(parseThreshold(TREND, 'p(95)<250', { window: 0 })).toEqual({
      problem: 'window: expected a duration above zero such as 10s, got "0"',
    });
  });
});

test('any percentile, comparison and bound written down is read back', () => {
  const comparison = fc.constantFrom('<', '<=', '>', '>=', '==', '===', '!=');
  const number = fc.double({ min: 0, max: 1e9, noNaN: true });
  fc.assert(
    fc.property(fc.double({ min: 0, max: 100, noNaN: true }), comparison, number, (percentile, operator, bound) => {
      const parsed = parseThreshold(TREND, `p(${String(percentile)})${operator}${String(bound)}`);
      expect(parsed).toMatchObject({ aggregation: { kind: 'percentile', percentile }, comparison: operator, bound });
    }),
  );
});

test('any tag that a report writes is read back', () => {
  const text = fc.string({ minLength: 1 }).filter((one) => !(one.includes('"') && one.includes("'")) && one !== '__proto__');
  fc.assert(
    fc.property(fc.dictionary(text, text, { minKeys: 1, maxKeys: 3 }), (tags) => {
      expect(parseThreshold(selectorText(TREND, tags), 'p(95)<250')).toMatchObject({ metric: TREND, tags });
    }),
  );
});

test('no text makes the parser throw', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (metric, expression) => {
      expect(parseThreshold(metric, expression)).toBeTypeOf('object');
      expect(parseThreshold(TREND, expression)).toBeTypeOf('object');
    }),
  );
});

/** Forms in which k6's own documentation writes thresholds, of metrics that we have and of a scenario's own. */
describe('every form of k6’s documentation is read', () => {
  const own = {
    RTT: { kind: 'trend', unit: 'ms' },
    serverWaitingTimeOnLogin: { kind: 'trend', unit: 'ms' },
    ContentOK: { kind: 'rate', unit: '' },
    ContentSize: { kind: 'gauge', unit: '' },
    Errors: { kind: 'counter', unit: '' },
    error_counter: { kind: 'counter', unit: '' },
    my_custom_metric: { kind: 'rate', unit: '' },
    endpoint_data_sent: { kind: 'counter', unit: '' },
    endpoint_data_recv: { kind: 'counter', unit: '' },
  } as const;
  const forms: Readonly<Record<string, readonly string[]>> = {
    http_req_duration: [
      ...[
        'p(99)<1000',
        'p(95)<200',
        'p(95)<250',
        'p(99)<350',
        'p(95)<500',
        'p(95)<1500',
        'p(90)<2000',
        'p(95)<50',
        'p(95)<100',
        'p(90)<600',
      ],
      ...['p(90) < 400', 'p(95) < 800', 'p(99.9) < 2000', 'p(99) < 10', 'p(95) < 200', 'p(75) < 200', 'p(99.99)<1000', 'p(90) < 300'],
      ...['avg<100', 'avg < 200', 'avg<1000', 'max<1000', 'max>=0', 'med<150', 'min<100'],
    ],
    'http_req_duration{type:API}': ['p(95)<500'],
    'http_req_duration{type:staticContent}': ['p(99)<250', 'p(95)<200'],
    'http_req_duration{staticAsset:yes}': ['p(95)<100'],
    'http_req_duration{test_type:website}': ['p(99)<500'],
    'http_req_duration{scenario:my_api_test_2}': ['p(99)<300'],
    'http_req_duration{scenario:default}': ['max>=0'],
    'http_req_duration{container_group:main}': ['max<1000'],
    'http_req_duration{expected_response:true}': ['p(95)<200'],
    'http_req_connecting{cdnAsset:true}': ['p(95)<100'],
    'group_duration{group:::individualRequests}': ['avg < 400'],
    'group_duration{group:::batchRequests}': ['avg < 200'],
    'iteration_duration{group:::setup}': ['max>=0'],
    'iteration_duration{group:::teardown}': ['max>=0'],
    'iteration_duration{scenario:default}': ['max>=0'],
    http_req_failed: ['rate<0.01', 'rate == 0.00', 'rate < 0.1'],
    http_reqs: ['count >= 500', 'rate<50', 'count <= 2'],
    'http_reqs{container_group:main}': ['count==3'],
    checks: ['rate==1.0', 'rate == 1.00', 'rate>0.9', 'rate==1'],
    'checks{myTag:hola}': ['rate>0.9'],
    vus: ['value<4000'],
    RTT: ['p(99)<300', 'p(70)<250', 'avg<200', 'med<150', 'min<100'],
    serverWaitingTimeOnLogin: ['p(95) < 200'],
    ContentOK: ['rate>0.95'],
    ContentSize: ['value<4000'],
    Errors: ['count<100'],
    'error_counter{errorType:authError}': ['count <= 2', 'count < 10'],
    my_custom_metric: ['rate<0.05'],
    endpoint_data_sent: ['count < 2048'],
    'endpoint_data_sent{url:https://test.k6.io/contacts.php}': ['count < 1024'],
    'endpoint_data_recv{url:https://test.k6.io/}': ['count < 2048'],
  };
  const rows = Object.entries(forms).flatMap(([metric, expressions]) => expressions.map((expression) => [metric, expression] as const));

  test.each(rows)('%s: %s', (metric, expression) => {
    const parsed = parseThreshold(metric, expression, { abortOnFail: true, delayAbortEval: '1m' }, own);
    expect(parsed).not.toHaveProperty('problem');
    expect(parsed).toMatchObject({ expression, abortOnFail: true, delayAbortEvalUs: 60_000_000 });
    const [, name = '', value] = /\{([^:]+):(.*)\}$/.exec(metric) ?? [];
    expect(parsed).toMatchObject({ tags: value === undefined ? {} : { [name]: value } });
  });

  test.each(['p(101)<1', 'p(-1)<1', 'p(NaN)<1'])('%s is refused, as it is by k6', (expression) => {
    expect(parseThreshold(TREND, expression)).toHaveProperty('problem');
  });

  test('quotes around a tag’s value are no part of it', () => {
    expect(parseThreshold(`${TREND}{name:"list products",scenario:'browse'}`, 'avg<1')).toMatchObject({
      tags: { name: 'list products', scenario: 'browse' },
    });
  });
});
