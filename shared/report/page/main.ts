import type { PageData, TrendPageData } from '../html/page-data.ts';
import { showRun } from './run-report.ts';
import { showTrend } from './trend-report.ts';

/** What is embedded in a page, by the kind of page. */
type Embedded = ({ readonly kind: 'run' } & PageData) | ({ readonly kind: 'trend' } & TrendPageData);

void show();

async function show(): Promise<void> {
  const page = JSON.parse(await inflated(document.getElementById('page-data')?.textContent ?? '')) as Embedded;
  if (page.kind === 'run') showRun(page);
  else showTrend(page);
  // uPlot draws in a microtask; a frame later everything is on the screen. Tests and people who wonder read it here.
  requestAnimationFrame(() => {
    setTimeout(() => {
      document.documentElement.dataset['drawnMs'] = String(Math.round(performance.now()));
    });
  });
}

/** `html/embedded.ts` made it. */
function inflated(base64: string): Promise<string> {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'))).text();
}
