import type { Reference, Template, TemplatePart } from '../plan/index.ts';
import { expected } from './describe.ts';
import { lookUp, type Scope } from './scope.ts';

export type WrittenAs = Reference['as'];

/** Text with `${…}` as the agents fill it in: what is known now (`env`, `vars`) stands in it already, encoded for its place,
 *  as is the text around it. What is wrong is said through `say`, once per reference. */
export function compileTemplate(text: string, as: WrittenAs, scope: Scope, say: (message: string) => void): Template {
  const parts: TemplatePart[] = [];
  for (const piece of splitTemplate(text, say)) {
    if (typeof piece === 'string') {
      parts.push(encode(piece, as));
      continue;
    }
    const found = lookUp(piece.expression, scope);
    switch (found.kind) {
      case 'problem':
        say(found.message);
        break;
      case 'unknown':
        break;
      case 'value':
        parts.push(encode(String(found.value), as));
        break;
      case 'reference':
        parts.push({ ...found.reference, as });
        break;
    }
  }
  return joined(parts);
}

/** Text of which nothing may be left open: only `env` and `vars`. `undefined` after a problem. */
export function resolveNow(text: string, scope: Scope, say: (message: string) => void): string | undefined {
  let resolved: string | undefined = '';
  const fail = (message: string): void => {
    resolved = undefined;
    say(message);
  };
  for (const piece of splitTemplate(text, fail)) {
    if (typeof piece === 'string') {
      if (resolved !== undefined) resolved += piece;
      continue;
    }
    const found = lookUp(piece.expression, scope);
    if (found.kind === 'problem') fail(found.message);
    else if (found.kind === 'reference')
      fail(`\${${piece.expression}} is not known before the run; only \${env.NAME} and \${vars.name} may stand here`);
    else if (found.kind === 'unknown') resolved = undefined;
    else if (resolved !== undefined) resolved += String(found.value);
  }
  return resolved;
}

/** The one expression of which `text` consists, if it is nothing else. */
export function soleExpression(text: string): string | undefined {
  const pieces = splitTemplate(text, () => undefined);
  const [only] = pieces;
  return pieces.length === 1 && typeof only === 'object' ? only.expression : undefined;
}

/** Neighbouring literals joined, empty ones left out. */
export function joined(parts: readonly TemplatePart[]): Template {
  const result: TemplatePart[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if (typeof part === 'string' && typeof last === 'string') result[result.length - 1] = last + part;
    else if (part !== '') result.push(part);
  }
  return result.length === 0 ? [''] : result;
}

/** The whole text of a template without references. */
export function literalOf(template: Template): string | undefined {
  const [only] = template;
  return template.length === 1 && typeof only === 'string' ? only : undefined;
}

export type TemplatePiece = string | { readonly expression: string };

/** Literal text and expressions in order. `$${` stands for a literal `${`. */
export function splitTemplate(text: string, say: (message: string) => void): TemplatePiece[] {
  const pieces: TemplatePiece[] = [];
  let literal = '';
  let at = 0;
  while (at < text.length) {
    if (text.startsWith('$${', at)) {
      literal += '${';
      at += 3;
    } else if (text.startsWith('${', at)) {
      const end = text.indexOf('}', at);
      if (end < 0) {
        say(`"\${" is never closed by "}" in ${shown(text)}; write $\${ for a literal \${`);
        return pieces;
      }
      const expression = text.slice(at + 2, end).trim();
      if (literal !== '') pieces.push(literal);
      literal = '';
      if (expression === '') say(`"\${}" names nothing: ${expected('a name such as ${id} or ${users.name}', text)}`);
      else pieces.push({ expression });
      at = end + 1;
    } else {
      const next = text.indexOf('$', at + 1);
      literal += text.slice(at, next < 0 ? text.length : next);
      at = next < 0 ? text.length : next;
    }
  }
  if (literal !== '') pieces.push(literal);
  return pieces;
}

/** A known value as it must be written in its place. The agents apply the same rules to what they fill in. */
export function encode(value: string, as: WrittenAs): string {
  switch (as) {
    case 'text':
    case 'header':
      return value;
    case 'cookie':
      return value.replaceAll(';', '%3B');
    case 'json':
      return JSON.stringify(value);
    case 'json-string':
      return JSON.stringify(value).slice(1, -1);
    case 'url':
      return encodeURIComponent(wellFormed(value));
    case 'url-text':
      return wellFormed(value).replace(/[^\x21-\x7e]|["<>\\^`{|}]/gu, (character) => encodeURIComponent(character));
  }
}

/** Lone surrogates have no UTF-8 form; `encodeURIComponent` would throw. */
function wellFormed(value: string): string {
  return value.replace(/\p{Surrogate}/gu, '\ufffd');
}

function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
