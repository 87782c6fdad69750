import { isOpen, type OpenLoad, type Plan } from './plan.ts';

/** The highest planned rate of arrivals of all open scenarios together, per second; 0 without one. Rates are straight lines between the
 *  ends of segments, so their sum is highest at one of these, seen from before or after. Poisson arrivals count by their mean rate. */
export function peakArrivalsPerSecond({ scenarios }: Plan): number {
  const open = scenarios.flatMap(({ load, startUs }) => (isOpen(load) ? piecesOf(load, startUs) : []));
  let peak = 0;
  for (const { fromUs, toUs } of open) {
    for (const atUs of [fromUs, toUs]) {
      const before = open.reduce((sum, piece) => sum + (piece.fromUs < atUs && atUs <= piece.toUs ? rateAt(piece, atUs) : 0), 0);
      const after = open.reduce((sum, piece) => sum + (piece.fromUs <= atUs && atUs < piece.toUs ? rateAt(piece, atUs) : 0), 0);
      peak = Math.max(peak, before, after);
    }
  }
  return peak;
}

/** A straight line of the rate, arrivals per second over run-relative microseconds. */
interface Piece {
  readonly fromUs: number;
  readonly toUs: number;
  readonly fromRate: number;
  readonly toRate: number;
}

function piecesOf({ segments, timeUnitUs }: OpenLoad, startUs: number): Piece[] {
  const perSecond = 1_000_000 / timeUnitUs;
  let fromUs = startUs;
  return segments.map(({ durationUs, startRate, endRate }) => {
    const piece = { fromUs, toUs: fromUs + durationUs, fromRate: startRate * perSecond, toRate: endRate * perSecond };
    fromUs = piece.toUs;
    return piece;
  });
}

function rateAt({ fromUs, toUs, fromRate, toRate }: Piece, atUs: number): number {
  return fromRate + ((toRate - fromRate) * (atUs - fromUs)) / (toUs - fromUs);
}
