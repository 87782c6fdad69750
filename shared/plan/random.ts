/** A 32-bit hash of a seed and a counter: the same draw on every machine, in any order of asking.
 *  The mixer is MurmurHash3's finaliser (Appleby, public domain), run twice so that neighbouring counters part fully. */
export function hash32(seed: number, counter: number): number {
  const high = Math.floor(counter / 0x1_0000_0000);
  let h = mix((counter ^ Math.imul(seed, 0x9e3779b1)) >>> 0);
  h = mix((h + seed + Math.imul(high, 0x85ebca6b)) >>> 0);
  return h >>> 0;
}

/** Uniform in (0, 1): never 0, so its logarithm is finite. 52 bits from two hashes. */
export function uniform(seed: number, counter: number): number {
  const high = hash32(seed, counter * 2) >>> 6;
  const low = hash32(seed, counter * 2 + 1) >>> 6;
  return (high * 0x400_0000 + low + 0.5) / 0x10_0000_0000_0000;
}

/** A seed derived from another and a name, so that scenarios do not share their draws. */
export function seedFor(seed: number, name: string): number {
  let h = seed >>> 0;
  for (let i = 0; i < name.length; i++) h = mix((h ^ name.charCodeAt(i)) >>> 0);
  return h >>> 0;
}

function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
