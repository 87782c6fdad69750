import { deflateRawSync } from 'node:zlib';
import { html, verbatim, type Html } from './markup.ts';

/** What a page draws, inside the page: JSON, deflated, in base64, which no element can be ended by. Columns of a day are several megabytes as
 *  text, and a fifth of that so. `page/main.ts` reads it. */
export function embedded(data: object): Html {
  return html`<script type="application/octet-stream" id="page-data">
    ${verbatim(deflateRawSync(JSON.stringify(data)).toString('base64'))}
  </script>`;
}
