import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { html, verbatim, type Html } from './markup.ts';

/** What every page carries inside: styles and scripts, ours and uPlot's, so that it opens from a disk without a network. */
export interface Assets {
  readonly styles: Html;
  readonly scripts: Html;
}

/** Ours are made of `page/` by `npm run gen`; uPlot (MIT) is taken from its package as it is. */
export async function readAssets(): Promise<Assets> {
  const uplot = dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
  const made = new URL('../gen/', import.meta.url);
  const [uplotCss, uplotJs, css, js] = await Promise.all([
    readFile(join(uplot, 'dist/uPlot.min.css'), 'utf8'),
    readFile(join(uplot, 'dist/uPlot.iife.min.js'), 'utf8'),
    readFile(new URL('page.css', made), 'utf8'),
    readFile(new URL('page.js', made), 'utf8'),
  ]);
  return {
    styles: html`<style>
      ${verbatim(uplotCss)}${verbatim(css)}
    </style>`,
    scripts: html`<script>
        ${verbatim(uplotJs)};
      </script>
      <script>
        ${verbatim(js)};
      </script>`,
  };
}
