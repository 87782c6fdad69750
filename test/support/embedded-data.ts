import { inflateRawSync } from 'node:zlib';

/** What a page of ours carries inside for its charts. */
export function embeddedData(html: string): unknown {
  const base64 = /id="page-data">([^<]*)<\/script>/.exec(html)?.[1] ?? '';
  return JSON.parse(inflateRawSync(Buffer.from(base64, 'base64')).toString());
}
