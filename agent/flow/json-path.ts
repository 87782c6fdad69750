import type { JsonPath } from '../../shared/plan/index.ts';

/** The value at `path`, or `undefined` when the document has none there. A negative index counts from the end;
 *  a final `length` counts the members of an array or the characters of a string. */
export function jsonAt(document: unknown, path: JsonPath): unknown {
  let value: unknown = document;
  for (const part of path) {
    if (Array.isArray(value)) {
      if (typeof part === 'number') value = value.at(part) as unknown;
      else if (part === 'length') value = value.length;
      else return undefined;
    } else if (typeof value === 'object' && value !== null) {
      value = Object.hasOwn(value, part) ? (value as Record<string, unknown>)[part] : undefined;
    } else if (typeof value === 'string' && part === 'length') {
      value = value.length;
    } else {
      return undefined;
    }
  }
  return value;
}
