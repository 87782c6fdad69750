/** Due arrivals without a VU, first in first out, each with its index and intended instant. A ring that doubles up to its bound. */
export class WaitingLine {
  private indices = new Float64Array(256);
  private instants = new Float64Array(256);
  private head = 0;
  length = 0;
  private readonly max: number;

  constructor(max: number) {
    this.max = max;
  }

  /** False when the line is full: the arrival is not taken. */
  push(index: number, intendedUs: number): boolean {
    if (this.length === this.max) return false;
    if (this.length === this.indices.length) this.grow();
    const at = (this.head + this.length) % this.indices.length;
    this.indices[at] = index;
    this.instants[at] = intendedUs;
    this.length++;
    return true;
  }

  /** Index of the first in line; only while `length > 0`. */
  get firstIndex(): number {
    return this.indices[this.head] ?? 0;
  }

  get firstIntendedUs(): number {
    return this.instants[this.head] ?? 0;
  }

  shift(): void {
    this.head = (this.head + 1) % this.indices.length;
    this.length--;
  }

  private grow(): void {
    const indices = new Float64Array(this.indices.length * 2);
    const instants = new Float64Array(this.indices.length * 2);
    for (let i = 0; i < this.length; i++) {
      const at = (this.head + i) % this.indices.length;
      indices[i] = this.indices[at] ?? 0;
      instants[i] = this.instants[at] ?? 0;
    }
    this.indices = indices;
    this.instants = instants;
    this.head = 0;
  }
}
