import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { Upload, UploadPart } from '../plan/index.ts';
import { isMapping } from './describe.ts';
import type { StepDefinition } from './step-schema.ts';
import type { Scope } from './scope.ts';
import { compileTemplate, joined } from './template.ts';

type Multipart = Extract<Upload, { kind: 'multipart' }>;

/** A `multipart/form-data` body (RFC 7578). Equal definitions give equal boundaries, so that equal files stay equal workloads. */
export function compileMultipart(
  fields: NonNullable<StepDefinition['multipart']>,
  scope: Scope,
  say: (key: string, message: string) => void,
): Multipart {
  const parts = Object.entries(fields).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((item): UploadPart => {
      const tell = (message: string): void => {
        say(name, message);
      };
      const disposition = `content-disposition: form-data; name="${quoted(name)}"`;
      if (!isMapping(item)) {
        const text = compileTemplate(String(item), 'text', scope, tell);
        return { head: [`${disposition}\r\n\r\n`], content: { kind: 'text', text } };
      }
      const { file, filename = basename(item.file), type = 'application/octet-stream' } = item;
      const shown = compileTemplate(filename, 'header', scope, tell).map((part) => (typeof part === 'string' ? quoted(part) : part));
      const media = compileTemplate(type, 'header', scope, tell);
      if (media.some((part) => typeof part === 'string' && /[^\x20-\x7e]/.test(part))) tell('a media type is one line of ASCII text');
      const head = joined([`${disposition}; filename="`, ...shown, '"\r\ncontent-type: ', ...media, '\r\n\r\n']);
      return { head, content: { kind: 'file', file } };
    }),
  );
  // 64 bits of a hash: no file holds them by chance.
  const boundary = `muster-${createHash('sha256').update(JSON.stringify(fields)).digest('hex').slice(0, 16)}`;
  return { kind: 'multipart', boundary, parts };
}

/** As browsers write names: the three characters that would end the quoted text are percent-encoded. */
function quoted(text: string): string {
  return text.replace(/["\r\n]/g, (character) => encodeURIComponent(character));
}
