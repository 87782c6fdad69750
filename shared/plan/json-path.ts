import type { JsonPath } from './flow.ts';

const STEP = /\.([A-Za-z_$][\w$-]*)|\[(-?\d+)\]|\['([^']*)'\]|\["([^"]*)"\]/y;

/** `$.items[0].id`, `$[-1]`, `$['odd key']`; `undefined` when the text is no such path. */
export function parseJsonPath(text: string): JsonPath | undefined {
  if (!text.startsWith('$')) return undefined;
  const path: (string | number)[] = [];
  let at = 1;
  while (at < text.length) {
    STEP.lastIndex = at;
    const match = STEP.exec(text);
    if (match === null) return undefined;
    const [whole, name, index, single, double] = match;
    path.push(index === undefined ? (name ?? single ?? double ?? '') : Number(index));
    at += whole.length;
  }
  return path;
}

/** What `parseJsonPath` takes, for messages. */
export const JSON_PATH = 'a path such as $.items[0].id';
