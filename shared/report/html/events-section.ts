import type { ShownEvent } from './events.ts';
import { html, type Html } from './markup.ts';

/** What happened, in the order of time. The numbers are those of the flags in the charts. */
export function eventsSection(events: readonly ShownEvent[]): Html {
  const rows = events.map(
    ({ number, atSeconds, label, detail, tone }) =>
      html`<tr class="${tone}">
        <td class="number">${number}</td>
        <td class="number">${atSeconds === undefined ? '' : `${atSeconds.toFixed(3)} s`}</td>
        <th scope="row">${label}</th>
        <td>${detail}</td>
      </tr>`,
  );
  return html`<section id="events" aria-labelledby="events-title">
    <h2 id="events-title">Events</h2>
    <p class="hint">Counted from the zero of the run. Those that could have changed the load are flagged in the charts by their number.</p>
    <div class="scroll">
      <table>
        <caption class="sr">
          Events
        </caption>
        <thead>
          <tr>
            <th scope="col" class="number">#</th>
            <th scope="col" class="number">At</th>
            <th scope="col">Event</th>
            <th scope="col">Detail</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>
  </section>`;
}
