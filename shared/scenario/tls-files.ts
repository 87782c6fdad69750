import { X509Certificate } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import type { Report } from './problems.ts';
import { httpSchema } from './schema.ts';
import { readTextFile } from './source-file.ts';

/** The texts of the PEM files that `http.tls` names. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** A bundle of all the roots of the web is a quarter of this. */
const PEM_BYTES_MAX = 1024 * 1024;

/** Reads them, relative to the scenario file, and says which one is not what it should be. */
export async function loadTlsFiles(http: unknown, scenarioFile: string, report: Report): Promise<TlsFiles> {
  const shape = httpSchema.safeParse(http ?? {});
  const tls = shape.success ? shape.data.tls : undefined;
  const texts: { -readonly [K in keyof TlsFiles]: TlsFiles[K] } = {};
  for (const kind of ['ca', 'cert', 'key'] as const) {
    const file = tls?.[kind];
    if (file === undefined) continue;
    const read = await readTextFile(resolve(dirname(scenarioFile), file), PEM_BYTES_MAX);
    const problem = 'problem' in read ? read.problem : whyNot(kind, read.text);
    if (problem !== undefined) report(['http', 'tls', kind], `${file}: ${problem}`);
    else if ('text' in read) texts[kind] = read.text;
  }
  if ((tls?.cert === undefined) !== (tls?.key === undefined))
    report(['http', 'tls'], 'a client certificate is cert and key: one of them is missing');
  return texts;
}

function whyNot(kind: 'ca' | 'cert' | 'key', text: string): string | undefined {
  if (kind === 'key') return /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) ? undefined : 'expected a private key in PEM';
  try {
    new X509Certificate(text);
    return undefined;
  } catch {
    // What OpenSSL says of it (`no start line`) tells people less.
    return 'expected a certificate in PEM';
  }
}
