import type { Draw } from './draw.ts';

/** A scenario file made up for one run. */
export interface RandomPlan {
  /** A TypeScript module. */
  readonly source: string;
  readonly agents: number;
  /** When its last scenario ends, without grace, seconds. */
  readonly seconds: number;
  readonly scenarios: readonly RandomScenario[];
}

export interface RandomScenario {
  readonly name: string;
  readonly executor: string;
  /** All of it, in one line. */
  readonly said: string;
}

type Executor = (draw: Draw, seconds: number) => Readonly<Record<string, unknown>>;

/** Every executor, with loads that two cores carry beside the whole cluster. */
const EXECUTORS: Readonly<Record<string, Executor>> = {
  'constant-arrival-rate': (draw, seconds) => ({
    rate: draw.whole(20, 150),
    duration: `${seconds}s`,
    maxVUs: 300,
    arrivals: draw.pick(['uniform', 'poisson']),
  }),
  'ramping-arrival-rate': (draw, seconds) => ({
    startRate: draw.whole(0, 60),
    stages: [
      { duration: `${Math.round(seconds * 400)}ms`, target: draw.whole(30, 150) },
      { duration: `${Math.round(seconds * 600)}ms`, target: draw.whole(0, 100) },
    ],
    maxVUs: 300,
  }),
  'constant-vus': (draw, seconds) => ({ vus: draw.whole(2, 9), duration: `${seconds}s` }),
  'ramping-vus': (draw, seconds) => ({
    startVUs: draw.whole(0, 6),
    stages: [
      { duration: `${Math.round(seconds * 500)}ms`, target: draw.whole(2, 9) },
      { duration: `${Math.round(seconds * 500)}ms`, target: draw.whole(0, 4) },
    ],
  }),
  'per-vu-iterations': (draw, seconds) => ({ vus: draw.whole(2, 9), iterations: draw.whole(10, 60), maxDuration: `${seconds}s` }),
  'shared-iterations': (draw, seconds) => ({ vus: draw.whole(2, 9), iterations: draw.whole(50, 400), maxDuration: `${seconds}s` }),
};

/** One to three scenarios of five to twelve seconds on three to six agents; each iteration is one request, whose path says which scenario,
 *  which index and, from a function, which process fired it. */
export function randomPlan(draw: Draw, target: string, seed: number): RandomPlan {
  const names = Array.from({ length: draw.whole(1, 3) }, (_, position) => `s${position + 1}`);
  const scenarios = names.map((name, position) => {
    const seconds = draw.whole(5, 9);
    // The first begins at once, so that a run shows when it begins.
    const startS = position === 0 ? 0 : draw.whole(0, 3);
    const executor = draw.pick(Object.keys(EXECUTORS));
    const load = { executor, ...EXECUTORS[executor]?.(draw, seconds), startTime: `${startS}s`, gracefulStop: '3s' };
    const isFunction = draw.chance(0.7);
    const text = JSON.stringify(load);
    const flow = isFunction
      ? `async (vu) => { await vu.http.get('/${name}/' + vu.iteration + '/' + process.pid, { name: '${name}' }); }`
      : `[{ get: '/${name}/\${iteration}/0', name: '${name}' }]`;
    return {
      name,
      executor,
      line: `    ${name}: { ...${text}, flow: ${flow} },`,
      said: `${name} ${text}${isFunction ? ' in code' : ''}`,
      endS: startS + seconds,
    };
  });
  return {
    source: [
      `import { defineScenario } from 'muster';`,
      `declare const process: { readonly pid: number };`,
      `export default defineScenario({`,
      `  name: 'campaign',`,
      `  target: '${target}',`,
      `  seed: ${seed},`,
      `  scenarios: {`,
      ...scenarios.map(({ line }) => line),
      `  },`,
      `});`,
      ``,
    ].join('\n'),
    agents: draw.whole(3, 6),
    seconds: Math.max(...scenarios.map(({ endS }) => endS)),
    scenarios: scenarios.map(({ name, executor, said }) => ({ name, executor, said })),
  };
}
