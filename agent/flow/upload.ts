import type { Upload, Workload } from '../../shared/plan/index.ts';
import { StreamedBody, type RequestBody, type StoredFile } from '../protocol/index.ts';
import { readyTemplate, type TemplateSources, type Values } from './template.ts';

/** Finds the agent's copy of a large file. */
export type FindStored = (file: string) => StoredFile | undefined;

/** The files that steps send. Those that travelled in the workload are decoded once and their bytes shared by every request that sends
 *  them; large ones lie on the agent's disk. */
export class WorkloadFiles {
  private readonly encoded: Workload['files'];
  private readonly findStored: FindStored;
  private readonly decoded = new Map<string, Buffer>();

  constructor(encoded: Workload['files'], findStored: FindStored) {
    this.encoded = encoded;
    this.findStored = findStored;
  }

  content(file: string): Buffer | StoredFile {
    const known = this.decoded.get(file);
    if (known !== undefined) return known;
    const encoded = this.encoded[file];
    if (typeof encoded !== 'string') {
      const stored = this.findStored(file);
      if (stored === undefined) throw new Error(`the workload has no file ${file}`);
      return stored;
    }
    const bytes = Buffer.from(encoded, 'base64');
    this.decoded.set(file, bytes);
    return bytes;
  }
}

export interface ReadyUpload {
  readonly isConstant: boolean;
  render(values: Values): RequestBody;
}

/** A body of files made ready. Without references in it, every request of every VU sends the same bytes, and none are copied.
 *  With a large file in it, it is streamed. */
export function readyUpload(upload: Upload, files: WorkloadFiles, sources: TemplateSources): ReadyUpload {
  if (upload.kind === 'file') {
    const content = files.content(upload.file);
    const body = Buffer.isBuffer(content) ? content : new StreamedBody([content]);
    return { isConstant: true, render: () => body };
  }
  const { boundary } = upload;
  const parts = upload.parts.map(({ head, content }) => ({
    head: readyTemplate(head, sources),
    text: content.kind === 'text' ? readyTemplate(content.text, sources) : undefined,
    bytes: content.kind === 'file' ? files.content(content.file) : undefined,
  }));
  const isStreamed = parts.some(({ bytes }) => bytes !== undefined && !Buffer.isBuffer(bytes));
  return {
    isConstant: parts.every(({ head, text }) => head.constant !== undefined && (text === undefined || text.constant !== undefined)),
    render: (values) => {
      const pieces: (Buffer | StoredFile)[] = parts.flatMap(({ head, text, bytes }) => [
        Buffer.from(`--${boundary}\r\n${head.render(values)}`, 'utf8'),
        bytes ?? Buffer.from(text?.render(values) ?? '', 'utf8'),
        LINE_END,
      ]);
      pieces.push(Buffer.from(`--${boundary}--\r\n`, 'latin1'));
      return isStreamed ? new StreamedBody(pieces) : Buffer.concat(pieces.filter((piece) => Buffer.isBuffer(piece)));
    },
  };
}

const LINE_END = Buffer.from('\r\n', 'latin1');
