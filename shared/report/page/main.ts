import type { PageData, TrendPageData } from '../html/page-data.ts';
import { showRun } from './run-report.ts';
import { showTrend } from './trend-report.ts';

/** What is embedded in a page, by the kind of page. */
type Embedded = ({ readonly kind: 'run' } & PageData) | ({ readonly kind: 'trend' } & TrendPageData);

const text = document.getElementById('page-data')?.textContent ?? '';
const page = JSON.parse(text) as Embedded;
if (page.kind === 'run') showRun(page);
else showTrend(page);
// uPlot draws in a microtask; a frame later everything is on the screen. Tests and people who wonder read it here.
requestAnimationFrame(() => {
  setTimeout(() => {
    document.documentElement.dataset['drawnMs'] = String(Math.round(performance.now()));
  });
});
