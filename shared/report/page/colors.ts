/** Colours are the style sheet's, so that light, dark and print have one place. */
export function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** The colours of categories, in an order in which neighbours differ. */
export const CATEGORIES = 8;

export function category(index: number): string {
  return `c${index % CATEGORIES}`;
}

/** A colour between the stops `heat-0` … `heat-4`, as bytes; `share` is 0 … 1. */
export function heatRamp(): (share: number) => readonly [number, number, number] {
  const stops = [0, 1, 2, 3, 4].map((i) => bytes(color(`heat-${i}`)));
  return (share) => {
    const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
    const low = Math.min(stops.length - 2, Math.floor(at));
    const [a, b] = [stops[low] ?? [0, 0, 0], stops[low + 1] ?? [0, 0, 0]];
    const mix = (i: 0 | 1 | 2): number => Math.round(a[i] + (b[i] - a[i]) * (at - low));
    return [mix(0), mix(1), mix(2)];
  };
}

function bytes(hex: string): readonly [number, number, number] {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

const redraws = new Set<() => void>();

/** Calls `redraw` whenever colours change: another scheme, or paper. Returns how to end that. */
export function onColors(redraw: () => void): () => void {
  redraws.add(redraw);
  return () => redraws.delete(redraw);
}

for (const query of ['(prefers-color-scheme: dark)', 'print']) {
  matchMedia(query).addEventListener('change', () => {
    for (const redraw of redraws) redraw();
  });
}
