/** Loaded before an agent (`NODE_OPTIONS=--require=…`), and in its threads: gives its process a clock that is wrong, as a machine's may be.
 *  `SKEW_MS` sets it ahead, and the wall clock alone is two minutes further ahead from the moment on at which the file `SKEW_STEP_FILE`
 *  is there. */
'use strict';
const { existsSync } = require('node:fs');

const skewMs = Number(process.env['SKEW_MS'] ?? 0);
const stepFile = process.env['SKEW_STEP_FILE'] ?? '';
const STEP_MS = 120_000;
const RealDate = Date;

Object.defineProperty(performance, 'timeOrigin', { value: performance.timeOrigin + skewMs });
const wallMs = () => RealDate.now() + skewMs + (stepFile !== '' && existsSync(stepFile) ? STEP_MS : 0);
globalThis.Date = class Date extends RealDate {
  constructor(...given) {
    super(...(given.length === 0 ? [wallMs()] : given));
  }

  static now() {
    return wallMs();
  }
};
