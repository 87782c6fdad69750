import { addEncoded, encodeHistogram } from './hdr-codec.ts';
import { Histogram } from './histogram.ts';
import type { SeriesValue } from './series.ts';

/** A series' value at rest, as JSON can hold it: JSON has no infinity, so the minimum of nothing is `null`. */
export type SavedValue =
  | {
      readonly kind: 'trend';
      /** The buckets as an HDR V2 payload in base64; empty for no bucket. */
      readonly hdr: string;
      readonly count: number;
      readonly sumUs: number;
      readonly minUs: number | null;
      readonly maxUs: number;
      readonly overflow: number;
    }
  | { readonly kind: 'counter'; readonly count: number }
  | { readonly kind: 'rate'; readonly passes: number; readonly fails: number }
  | { readonly kind: 'gauge'; readonly value: number; readonly min: number | null; readonly max: number; readonly atUs?: number };

/** Law: `restoreValue(saveValue(value))` is `value`, bucket for bucket. */
export function saveValue(value: SeriesValue): SavedValue {
  switch (value.kind) {
    case 'trend': {
      const { count, sumUs, minUs, maxUs, overflow, highIndex } = value.histogram;
      const hdr = highIndex < 0 ? '' : Buffer.from(encodeHistogram(value.histogram)).toString('base64');
      return { kind: 'trend', hdr, count, sumUs, minUs: finite(minUs), maxUs, overflow };
    }
    case 'counter':
    case 'rate':
      return { ...value };
    case 'gauge': {
      const { kind, min, max, atUs } = value;
      return { kind, value: value.value, min: finite(min), max, ...(atUs === undefined ? {} : { atUs }) };
    }
  }
}

/** Throws `RangeError` on a payload that is no histogram of ours. */
export function restoreValue(saved: SavedValue): SeriesValue {
  switch (saved.kind) {
    case 'trend': {
      const histogram = new Histogram();
      if (saved.hdr !== '') addEncoded(Buffer.from(saved.hdr, 'base64'), histogram);
      histogram.addTotals({ ...saved, minUs: saved.minUs ?? Infinity });
      return { kind: 'trend', histogram };
    }
    case 'counter':
    case 'rate':
      return { ...saved };
    case 'gauge':
      return { ...saved, min: saved.min ?? Infinity };
  }
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
