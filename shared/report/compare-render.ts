import { renderCompareHtml } from './compare-html.ts';
import { renderCompareJson } from './compare-json.ts';
import { renderCompareMarkdown } from './compare-markdown.ts';
import type { CompareReport } from './compare-report.ts';
import { renderCompareText } from './compare-text.ts';

export const COMPARE_FORMATS = ['text', 'json', 'md', 'html'] as const;
export type CompareFormat = (typeof COMPARE_FORMATS)[number];

/** A comparison in one of the formats. Colours are of text only. */
export function renderComparison(report: CompareReport, format: CompareFormat, options: { readonly color: boolean }): string {
  switch (format) {
    case 'text':
      return renderCompareText(report, options);
    case 'json':
      return renderCompareJson(report);
    case 'md':
      return renderCompareMarkdown(report);
    case 'html':
      return renderCompareHtml(report);
  }
}
