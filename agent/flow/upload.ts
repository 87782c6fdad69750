import type { Upload } from '../../shared/plan/index.ts';
import { readyTemplate, type TemplateSources, type Values } from './template.ts';

/** The files that travelled with the workload: each is decoded once and its bytes are shared by every request that sends them. */
export class WorkloadFiles {
  private readonly encoded: Readonly<Record<string, string>>;
  private readonly decoded = new Map<string, Buffer>();

  constructor(encoded: Readonly<Record<string, string>>) {
    this.encoded = encoded;
  }

  bytes(file: string): Buffer {
    const known = this.decoded.get(file);
    if (known !== undefined) return known;
    const encoded = this.encoded[file];
    if (encoded === undefined) throw new Error(`the workload has no file ${file}`);
    const bytes = Buffer.from(encoded, 'base64');
    this.decoded.set(file, bytes);
    return bytes;
  }
}

export interface ReadyUpload {
  readonly isConstant: boolean;
  render(values: Values): Buffer;
}

/** A body of files made ready. Without references in it, every request of every VU sends the same bytes, and none are copied. */
export function readyUpload(upload: Upload, files: WorkloadFiles, sources: TemplateSources): ReadyUpload {
  if (upload.kind === 'file') {
    const bytes = files.bytes(upload.file);
    return { isConstant: true, render: () => bytes };
  }
  const { boundary } = upload;
  const parts = upload.parts.map(({ head, content }) => ({
    head: readyTemplate(head, sources),
    text: content.kind === 'text' ? readyTemplate(content.text, sources) : undefined,
    bytes: content.kind === 'file' ? files.bytes(content.file) : undefined,
  }));
  return {
    isConstant: parts.every(({ head, text }) => head.constant !== undefined && (text === undefined || text.constant !== undefined)),
    render: (values) => {
      const pieces = parts.flatMap(({ head, text, bytes }) => [
        Buffer.from(`--${boundary}\r\n${head.render(values)}`, 'utf8'),
        bytes ?? Buffer.from(text?.render(values) ?? '', 'utf8'),
        LINE_END,
      ]);
      return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`, 'latin1')]);
    },
  };
}

const LINE_END = Buffer.from('\r\n', 'latin1');
