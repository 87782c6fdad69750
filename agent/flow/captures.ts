import type { Capture } from '../../shared/plan/index.ts';
import { jsonAt } from './json-path.ts';
import type { ResponseView } from './response.ts';

/** Finds a capture's value; `undefined` when the response holds none. */
export type Finder = (response: ResponseView) => unknown;

export function readyCapture(capture: Capture): Finder {
  const { from } = capture;
  switch (from.kind) {
    case 'json':
      return (response) => jsonAt(response.json, from.path);
    case 'header': {
      const header = from.name.toLowerCase();
      return (response) => response.header(header);
    }
    case 'regex': {
      const pattern = new RegExp(from.pattern, from.flags.replace(/[gy]/g, ''));
      return (response) => {
        const match = pattern.exec(response.bodyText);
        return match === null ? undefined : (match[1] ?? match[0]);
      };
    }
  }
}
