import { describe, expect, test } from 'vitest';
import { renderCsv, renderJunit, renderMarkdown, type Summary } from '../../shared/report/index.ts';
import { VALIDITY_RULES } from '../../shared/sla/index.ts';
import { Histogram, type Series } from '../../shared/stats/index.ts';
import { summaryOf } from '../support/run-bundle.ts';

describe('JUnit', () => {
  test('every threshold and every way to be invalid is a case; what failed says what was observed', () => {
    const xml = renderJunit(summary());
    const cases = [...xml.matchAll(/<testcase .*?name="([^"]*)"/g)].map(([, name]) => name);
    expect(cases).toHaveLength(3 + Object.keys(VALIDITY_RULES).length);
    expect(xml).toContain(`<testsuites name="shop" tests="${cases.length}" failures="3" errors="0"`);
    expect(xml).toMatch(/name="http_req_response_time: p\(99\)&#60;250" time="0"><system-out>p\(99\)=[\d.]+ms<\/system-out>/);
    expect(xml).toContain('name="http_req_failed{scenario:a}: rate&#60;0.01" time="0"><failure message="rate=50.00%"/>');
    expect(xml).toContain('<failure message="no data, which is not a pass"/>');
    expect(xml).toMatch(/name="samples-missing: [^"]*" time="0"><failure message="3 recorded samples never arrived"\/>/);
    expect(xml).toMatch(/name="agents-lost: [^"]*" time="0"><system-out>agent b was lost<\/system-out>/);
    expect(xml).toMatch(/name="clock-uncertain: [^"]*" time="0"\/>/);
  });

  test('a threshold with a window is told apart from the same one without', () => {
    const base = summary();
    const [first] = base.thresholds;
    if (first === undefined) throw new Error('no threshold');
    const xml = renderJunit({ ...base, thresholds: [first, { ...first, windowSeconds: 10, judged: 'worst-window' }] });
    expect(xml).toContain('p(99)&#60;250" time="0">');
    expect(xml).toContain('p(99)&#60;250 in every 10 s" time="0">');
  });

  test('names with markup and control characters in them stay text', () => {
    const base = summary();
    const xml = renderJunit({ ...base, run: { ...base.run, name: '<a>&"\u0000\u001b\ud800' } });
    expect(xml).toContain('<testsuites name="&#60;a&#62;&#38;&#34;\ufffd\ufffd\ufffd"');
  });
});

describe('CSV', () => {
  test('a row per series, a column per tag, every statistic of its kind', () => {
    const { series } = summary();
    const [head = '', ...rows] = renderCsv(summary()).trimEnd().split('\r\n');
    const columns = head.split(',');
    expect(columns.slice(0, 5)).toEqual(['metric', 'type', 'unit', 'tag.name', 'tag.status']);
    expect(rows).toHaveLength(series.length);
    const trend = series.find(({ type }) => type === 'trend');
    const cells = rows.find((row) => row.startsWith('http_req_response_time,'))?.split(',') ?? [];
    const value = (column: string): string | undefined => cells[columns.indexOf(column)];
    if (trend?.type !== 'trend') throw new Error('no trend');
    expect([value('count'), value('mean'), value('stdDev'), value('p50'), value('p99.99'), value('max'), value('passes')]).toEqual([
      ...[trend.count, trend.mean, trend.stdDev, trend.percentiles['50'], trend.percentiles['99.99'], trend.max].map(String),
      '',
    ]);
    expect(rows.find((row) => row.startsWith('http_reqs,'))).toContain('counter,,list,200,2,');
  });

  test('quotes what needs it, and no name becomes a formula', () => {
    const base = summary();
    const named = (name: string): string =>
      renderCsv({ ...base, series: base.series.slice(0, 1).map((one) => ({ ...one, tags: { name } })) });
    expect(named('a,"b"\nc')).toContain(',"a,""b""\nc",');
    expect(named('=1+1')).toContain(`,'=1+1,`);
  });
});

describe('Markdown', () => {
  const text = renderMarkdown(summary());

  test('the verdict comes first, what failed is in the open, the rest is folded', () => {
    expect(text).toMatch(/^### ❌ shop: failed\n\n1 of 3 thresholds held, 1 failed, 1 without data · result \*\*invalid\*\*/);
    const open = text.replace(/<details>[\s\S]*?<\/details>/g, '');
    expect(open).toContain('| ✗ | `http_req_failed{scenario:a}: rate<0.01` | rate=50.00% |');
    expect(open).not.toContain('p(99)<250');
    expect(text).toMatch(/<details><summary>Thresholds that held[\s\S]*\| ✓ \| `http_req_response_time: p\(99\)<250`/);
    expect(text).toMatch(/- `samples-missing`: 3 recorded samples never arrived/);
    expect(text).toMatch(/<summary>Steps<\/summary>[\s\S]*\| list \| 200 \| 2 \|/);
  });

  test('is short, and no name in it becomes markup or calls anybody', () => {
    expect(text.split('\n').length).toBeLessThan(60);
    const base = summary();
    const shown = renderMarkdown({ ...base, run: { ...base.run, name: '<b> @team `x` | *y*' } });
    expect(shown).toContain('### ❌ \\<b\\> @\u200bteam \\`x\\` \\| \\*y\\*: failed');
  });
});

function summary(): Summary {
  const histogram = new Histogram();
  histogram.record(12_000);
  histogram.record(180_000);
  const tags = { name: 'list', status: '200' };
  const totals: Series[] = [
    { metric: 'http_req_response_time', tags, value: { kind: 'trend', histogram } },
    { metric: 'http_reqs', tags, value: { kind: 'counter', count: 2 } },
    { metric: 'http_req_failed', tags, value: { kind: 'rate', passes: 1, fails: 1 } },
  ];
  const base = summaryOf(10, 2, totals);
  return {
    ...base,
    run: { ...base.run, name: 'shop' },
    validity: {
      grade: 'invalid',
      reasons: [
        { code: 'samples-missing', detail: '3 recorded samples never arrived', grade: 'invalid' },
        { code: 'agents-lost', detail: 'agent b was lost', grade: 'degraded' },
      ],
    },
    thresholds: [
      { metric: 'http_req_response_time', tags: {}, expression: 'p(99)<250', verdict: 'pass', observed: 180 },
      { metric: 'http_req_failed', tags: { scenario: 'a' }, expression: 'rate<0.01', verdict: 'fail', observed: 0.5 },
      { metric: 'http_req_duration', tags: {}, expression: 'p(95)<100', verdict: 'no-data', observed: null },
    ],
  };
}
