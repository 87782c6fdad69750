/** Terminal colours, or none. Meaning never rests on colour alone: every sign has its own character. */
export interface Paint {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly warn: (text: string) => string;
  readonly strong: (text: string) => string;
}

export function createPaint(hasColor: boolean): Paint {
  const code = (open: number, close: number) => (text: string) => (hasColor ? `\u001b[${open}m${text}\u001b[${close}m` : text);
  return { good: code(32, 39), bad: code(31, 39), warn: code(33, 39), strong: code(1, 22) };
}
