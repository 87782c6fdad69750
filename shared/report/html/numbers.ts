/** A count for people: `1 234 567`, with thin spaces that no language reads as a decimal sign. */
export function count(value: number): string {
  const [whole = '', fraction] = String(Math.round(value * 100) / 100).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, '\u202f');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

export function perSecond(rate: number): string {
  return rate >= 100 ? count(Math.round(rate)) : count(Number(rate.toPrecision(3)));
}
