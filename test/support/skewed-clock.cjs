/** Loaded before an agent (`NODE_OPTIONS=--require=…`), and in its threads: gives its process a clock that is wrong, as a machine's may be.
 *  `SKEW_MS` sets it ahead, `SKEW_RATE` makes it run faster (1.01: by a hundredth), and the wall clock alone is two minutes further ahead
 *  from the moment on at which the file `SKEW_STEP_FILE` is there. */
'use strict';
const { existsSync } = require('node:fs');

const skewMs = Number(process.env['SKEW_MS'] ?? 0);
const rate = Number(process.env['SKEW_RATE'] ?? 1);
const stepFile = process.env['SKEW_STEP_FILE'] ?? '';
const STEP_MS = 120_000;
const now = performance.now.bind(performance);
const RealDate = Date;
const { hrtime } = process;

Object.defineProperty(performance, 'timeOrigin', { value: performance.timeOrigin + skewMs });
Object.defineProperty(performance, 'now', { value: () => now() * rate });
const scaled = () => {
  const [seconds, nanos] = hrtime();
  const all = (seconds + nanos / 1e9) * rate;
  return [Math.floor(all), Math.round((all % 1) * 1e9)];
};
process.hrtime = Object.assign(scaled, { bigint: () => BigInt(Math.round(Number(hrtime.bigint()) * rate)) });
const wallMs = () => RealDate.now() + skewMs + (stepFile !== '' && existsSync(stepFile) ? STEP_MS : 0);
globalThis.Date = class Date extends RealDate {
  constructor(...given) {
    super(...(given.length === 0 ? [wallMs()] : given));
  }

  static now() {
    return wallMs();
  }
};
