import { createPaint } from '../paint.ts';
import { selectorText, type Summary } from '../summary.ts';
import { observedText } from '../text-measured.ts';
import { ledgerLines } from '../text-proof.ts';
import { warmUpLines } from '../warm-up.ts';
import { html, type Html } from './markup.ts';

const VERDICT = { pass: ['good', '✓ held'], fail: ['bad', '✗ failed'], 'no-data': ['bad', '✗ no data'] } as const;
const PLAIN = createPaint(false);

/** Thresholds, validity with its reasons, and the equations that show whether everything is there. */
export function proofSection(summary: Summary): Html {
  return html`<section id="verdict" aria-labelledby="verdict-title">
    <h2 id="verdict-title">Verdict</h2>
    ${thresholdTable(summary)}
    <div class="pair">
      <div>
        <h3>Validity of the measurement</h3>
        ${validityList(summary)}
      </div>
      <div>
        <h3>Ledger</h3>
        <ul class="plain">
          ${ledgerLines(summary, PLAIN).map((line) => html`<li class="${line.startsWith('✗') ? 'bad' : 'ok'}">${line}</li>`)}
        </ul>
        ${warmUpLines(summary).map((line) => html`<p class="hint">Warm-up: ${line}</p>`)}
      </div>
    </div>
  </section>`;
}

function thresholdTable({ thresholds, metrics }: Summary): Html {
  if (thresholds.length === 0) return html`<p class="calm">This run had no thresholds.</p>`;
  const rows = thresholds.map((threshold) => {
    const [tone, word] = VERDICT[threshold.verdict];
    return html`<tr>
      <td class="${tone}">${word}</td>
      <th scope="row"><code>${selectorText(threshold.metric, threshold.tags)}</code></th>
      <td><code>${threshold.expression}</code></td>
      <td>${observedText(threshold, metrics[threshold.metric])}</td>
    </tr>`;
  });
  return html`<div class="scroll">
    <table>
      <caption class="sr">
        Thresholds
      </caption>
      <thead>
        <tr>
          <th scope="col">Verdict</th>
          <th scope="col">Of</th>
          <th scope="col">Threshold</th>
          <th scope="col">Observed</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

function validityList({ validity }: Summary): Html {
  const head = html`<p class="grade ${validity.grade}">
    <strong>${validity.grade}</strong>${validity.reasons.length === 0 ? ': nothing speaks against these numbers' : ''}
  </p>`;
  if (validity.reasons.length === 0) return head;
  const reasons = validity.reasons.map(
    ({ code, detail, grade }) => html`<li class="${grade ?? 'degraded'}"><code>${code}</code> ${detail}</li>`,
  );
  return html`${head}
    <ul class="plain">
      ${reasons}
    </ul> `;
}
