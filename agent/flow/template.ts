import type { Reference, RowSet, Template } from '../../shared/plan/index.ts';
import { jsonAt } from './json-path.ts';
import { rowFor } from './rows.ts';
import type { SetupResult } from './setup-result.ts';

/** What references are read from while one iteration runs. */
export interface Values {
  readonly vu: number;
  iteration: number;
  /** By capture slot; `undefined` where nothing was captured yet. */
  readonly captured: unknown[];
}

/** Slots for captured values: one number per name, given out while a flow is made ready. */
export class Slots {
  private readonly names = new Map<string, number>();

  slot(name: string): number {
    const known = this.names.get(name);
    if (known !== undefined) return known;
    this.names.set(name, this.names.size);
    return this.names.size - 1;
  }

  get count(): number {
    return this.names.size;
  }

  /** What was captured, by name. */
  named(captured: readonly unknown[]): Record<string, unknown> {
    return Object.fromEntries([...this.names].flatMap(([name, slot]) => (captured[slot] === undefined ? [] : [[name, captured[slot]]])));
  }
}

/** Thrown by a template that needs a value no earlier response gave: the iteration cannot go on. */
export class MissingValue extends Error {
  override readonly name = 'MissingValue';
}

export interface ReadyTemplate {
  /** The text when it has no reference, so that whoever uses it can do its work once. */
  readonly constant: string | undefined;
  render(values: Values): string;
}

export interface TemplateSources {
  readonly slots: Slots;
  readonly rows: Readonly<Record<string, RowSet>>;
  readonly seed: number;
  readonly setup?: SetupResult | undefined;
}

export function readyTemplate(template: Template, sources: TemplateSources): ReadyTemplate {
  if (template.every((part) => typeof part === 'string')) {
    const text = template.join('');
    return { constant: text, render: () => text };
  }
  const parts = template.map((part) => (typeof part === 'string' ? part : readyReference(part, sources)));
  return {
    constant: undefined,
    render: (values) => {
      let text = '';
      for (const part of parts) text += typeof part === 'string' ? part : part(values);
      return text;
    },
  };
}

function readyReference(reference: Reference, sources: TemplateSources): (values: Values) => string {
  const write = WRITERS[reference.as];
  const read = reader(reference, sources);
  return (values) => write(read(values));
}

/** The value itself, as a condition looks at it; `undefined` for what no response gave. */
export function readyValue(reference: Reference, sources: TemplateSources): (values: Values) => unknown {
  if (reference.source !== 'capture') return reader(reference, sources);
  const slot = sources.slots.slot(reference.name);
  const path = reference.field === '' ? [] : [reference.field];
  return (values) => jsonAt(values.captured[slot], path);
}

function reader(reference: Reference, { slots, rows, seed, setup }: TemplateSources): (values: Values) => unknown {
  switch (reference.source) {
    case 'vu':
      return (values) => values.vu;
    case 'iteration':
      return (values) => values.iteration;
    case 'capture': {
      const read = readyValue(reference, { slots, rows, seed });
      return (values) => {
        const value = read(values);
        if (value === undefined) throw new MissingValue(reference.name);
        return value;
      };
    }
    case 'setup': {
      const path = reference.name.split('.');
      return () => {
        const value = setup?.at(path);
        if (value === undefined) throw new MissingValue(`setup.${reference.name}`);
        return value;
      };
    }
    case 'row': {
      const set = rows[reference.name];
      const column = set?.columns.indexOf(reference.field) ?? -1;
      if (set === undefined || column < 0) throw new Error(`no column ${reference.field} in data set ${reference.name}`);
      return (values) => rowFor(set, reference.name, seed, values.iteration)[column] ?? '';
    }
  }
}

const WRITERS: Record<Reference['as'], (value: unknown) => string> = {
  text: textOf,
  json: (value) => JSON.stringify(value),
  'json-string': (value) => JSON.stringify(textOf(value)).slice(1, -1),
  url: (value) => encodeURIComponent(textOf(value)),
  // What may stand in a URL stays (also an already encoded %20); blanks, controls and the rest are encoded.
  'url-text': (value) => encodeURI(textOf(value)).replace(/%25([0-9A-Fa-f]{2})/g, '%$1'),
  header: headerText,
  cookie: (value) => headerText(value).replaceAll(';', '%3B'),
};

function headerText(value: unknown): string {
  return textOf(value).replace(/[\r\n\0]+/g, ' ');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
