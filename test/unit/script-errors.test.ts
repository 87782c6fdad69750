import { describe, expect, test } from 'vitest';
import { Interrupted } from '../../agent/flow/interrupted.ts';
import { ScriptErrors } from '../../agent/flow/script-errors.ts';
import { ScriptOrigin } from '../../agent/flow/script-origin.ts';
import { StrayThrows } from '../../agent/flow/stray-throws.ts';
import { describeScriptErrors } from '../../coordinator/script-errors.ts';

const map = { version: 3, file: '', sources: ['checkout.ts', '../lib/cart.ts'], names: [], mappings: 'AAAA', sourcesContent: ['', ''] };
const bundle = `export {};\n//# sourceMappingURL=data:application/json;base64,${Buffer.from(JSON.stringify(map)).toString('base64')}\n`;

const errors = (): ScriptErrors => new ScriptErrors(new ScriptOrigin('/tmp/scripts/one/scenario.mjs', bundle));

function thrownAt(message: string, ...frames: readonly string[]): Error {
  const error = new Error(message);
  error.stack = [`Error: ${message}`, ...frames.map((frame) => `    at ${frame}`)].join('\n');
  return error;
}

describe('what scenario code throws', () => {
  test('is named with the innermost line that is the author’s, by the path from the scenario file', () => {
    const found = errors();
    found.add(
      thrownAt(
        'no stock',
        'JSON.parse (<anonymous>)',
        'add (/tmp/scripts/lib/cart.ts:3:9)',
        'async flow (/tmp/scripts/one/checkout.ts:12:7)',
      ),
    );
    found.add(thrownAt('bare', 'file:///tmp/scripts/one/scenario.mjs:4:2'));
    found.add(thrownAt('elsewhere', 'x (/tmp/other.ts:1:1)'));
    expect(found.distinct.map(({ message }) => message)).toEqual([
      'Error: no stock (../lib/cart.ts:3:9)',
      'Error: bare (scenario.mjs:4:2)',
      'Error: elsewhere',
    ]);
  });

  test('is told once however often it comes, and counted', () => {
    const found = errors();
    for (let i = 0; i < 3; i++) found.add(thrownAt('again', 'f (/tmp/scripts/one/checkout.ts:1:1)'));
    expect([found.count, found.distinct]).toEqual([3, [{ message: 'Error: again (checkout.ts:1:1)', count: 3 }]]);
  });

  test('beyond fifty distinct errors is counted without a name', () => {
    const found = errors();
    for (let i = 0; i < 60; i++) found.add(new Error(`number ${i}`));
    expect([found.count, found.distinct.length]).toEqual([60, 50]);
  });

  test.each([
    ['text', '"text"'],
    [undefined, 'undefined'],
    [{ code: 7 }, '{"code":7}'],
    [Object.create(null), '{}'],
    [Symbol('s'), 'Symbol(s)'],
  ])('need not be an error: %o', (thrown, shown) => {
    const found = errors();
    found.add(thrown);
    expect(found.first).toBe(`threw ${shown}, which is no Error and has no source line`);
  });

  test('with a message without end is cut, and a stack that is no text does no harm', () => {
    const found = errors();
    const odd = new Error('x'.repeat(10_000));
    Object.defineProperty(odd, 'stack', { value: 7 });
    found.add(odd);
    expect(found.first?.length).toBeLessThan(600);
  });

  test('that an interruption caused is nobody’s mistake', () => {
    const found = errors();
    found.add(new Interrupted());
    expect(found.count).toBe(0);
  });

  test('on several agents is added up, the most frequent first, and what had no name comes last', () => {
    const part = (scriptErrors: number, ...thrown: { message: string; count: number }[]) => ({ scriptErrors, thrown });
    expect(describeScriptErrors([])).toBeUndefined();
    expect(
      describeScriptErrors([part(1, { message: 'a', count: 1 }), part(9, { message: 'b', count: 3 }, { message: 'a', count: 1 })]),
    ).toBe('b, 3 times; a, 2 times; other errors, 5 times');
  });
});

describe('what nobody caught', () => {
  const ours = thrownAt('ours', `seal (${import.meta.dirname.replace('/test/unit', '')}/agent/engine.ts:1:1)`);
  const ofRuntime = thrownAt('fetch failed', 'fetch (node:internal/deps/undici/undici:1:1)');

  test('is the scenario’s when a frame of its module is in the stack, of whichever script that was loaded', () => {
    const strays = new StrayThrows();
    const [first, second] = [errors(), new ScriptErrors(new ScriptOrigin('/tmp/scripts/two/scenario.mjs', ''))];
    strays.watch(first);
    strays.watch(second);
    expect(strays.take(thrownAt('late', 'f (/tmp/scripts/one/checkout.ts:1:1)'), 'exception')).toBe(true);
    expect([first.count, second.count]).toEqual([1, 0]);
  });

  test('is a bug of ours when only frames of ours are in the stack, also while a script is loaded', () => {
    const strays = new StrayThrows();
    const script = errors();
    strays.watch(script);
    expect([strays.take(ours, 'exception'), strays.take(ours, 'rejection'), script.count]).toEqual([false, false, 0]);
    expect(strays.take(thrownAt('theirs', 'f (/srv/node_modules/nats/x.js:1:1)'), 'rejection')).toBe(false);
  });

  test('is the scenario’s when it is no error at all, or a call of the runtime that was not awaited', () => {
    const strays = new StrayThrows();
    expect([strays.take('text', 'rejection'), strays.take(ofRuntime, 'rejection')]).toEqual([false, false]);
    const script = errors();
    strays.watch(script);
    expect([strays.take('text', 'exception'), strays.take(ofRuntime, 'rejection'), strays.take(ofRuntime, 'exception')]).toEqual([
      true,
      true,
      false,
    ]);
    expect(script.count).toBe(2);
  });

  test('is forgotten when it only says that an iteration is over', () => {
    expect(new StrayThrows().take(new Interrupted(), 'rejection')).toBe(true);
  });
});
