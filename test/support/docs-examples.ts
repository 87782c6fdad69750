import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './shell.ts';

export interface DocsExample {
  /** `docs/scenario.md:120` */
  readonly place: string;
  readonly text: string;
}

/** Every block of YAML in a document of the repository, in order. */
export function yamlBlocks(document: string): DocsExample[] {
  const text = readFileSync(join(ROOT, document), 'utf8');
  return [...text.matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => ({
    place: `${document}:${text.slice(0, match.index).split('\n').length}`,
    text: match[1] ?? '',
  }));
}

/** The examples of the flow language as whole scenario files: a list of steps becomes the flow of one. */
export function flowExamples(): DocsExample[] {
  const all = yamlBlocks('docs/scenario.md');
  const text = readFileSync(join(ROOT, 'docs/scenario.md'), 'utf8');
  const lineOf = (heading: string): number => text.slice(0, text.indexOf(`\n${heading}\n`)).split('\n').length;
  const [from, to] = [lineOf('## The flow language'), lineOf('## Checks')];
  return all
    .filter(({ place }) => Number(place.split(':')[1]) > from && Number(place.split(':')[1]) < to)
    .map(({ place, text: block }) => ({ place, text: block.startsWith('- ') ? asScenario(block) : block }));
}

function asScenario(steps: string): string {
  const indented = steps.replace(/^(?=.)/gm, '      ');
  return `target: http://127.0.0.1:8774\nscenarios:\n  docs:\n    executor: per-vu-iterations\n    iterations: 3\n    flow:\n${indented}`;
}
