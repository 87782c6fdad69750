import { html, NOTHING, type Html } from './markup.ts';

/** The place of a chart, which the page's script fills. A keyboard reaches it: arrow keys walk along its columns. */
export function chart(id: string, title: string, note: string): Html {
  return html`<figure class="chart" id="${id}">
    <h3 id="${id}-title">${title}</h3>
    ${note === '' ? NOTHING : html`<p class="hint">${note}</p>`}
    <div class="plot" tabindex="0" role="group" aria-roledescription="chart" aria-labelledby="${id}-title"></div>
  </figure>`;
}
