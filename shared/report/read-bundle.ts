import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, reasonOf } from '../base/index.ts';
import { BUNDLE_FILES, bundleFiles, type Bundle, type Manifest } from './bundle.ts';
import { isUnended, readUnended } from './unended.ts';
import { parseSummary } from './parse-summary.ts';
import type { Summary } from './summary.ts';

/** Reads a bundle's JSON files and opens its series on demand. Of a run that left no end, what stands there is read, and graded `invalid`.
 *  Throws `BUNDLE_INVALID` with the path and what was expected there. */
export async function readBundle(dir: string): Promise<Bundle> {
  if (await isFile(dir)) throw new AppError('BUNDLE_INVALID', `${dir}: expected the folder of a run bundle, and this is a file`);
  if (await isUnended(dir)) return readUnended(dir, await readManifest(dir).catch(() => undefined)); // It is written at the end, like the summary.
  const manifest = await readManifest(dir);
  return { ...bundleFiles(dir, manifest, true), summary: await readSummary(dir) };
}

/** What is not there is told by who reads it. */
function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function readManifest(dir: string): Promise<Manifest> {
  const path = join(dir, BUNDLE_FILES.manifest);
  return parseManifest(await readJson(path), path);
}

/** The summary alone, for which nothing else of a bundle need be there. Throws `BUNDLE_INVALID` as `readBundle` does. */
export async function readSummary(dir: string): Promise<Summary> {
  const path = join(dir, BUNDLE_FILES.summary);
  return parseSummary(await readJson(path), path);
}

/** A JSON file of a bundle; a run's manifest and summary are far below this, and a larger file is refused unread. */
const JSON_BYTES_MAX = 256 * 1024 * 1024;

async function readJson(path: string): Promise<unknown> {
  try {
    const { size } = await stat(path);
    if (size > JSON_BYTES_MAX) throw new RangeError(`it has ${size} bytes, and at most ${JSON_BYTES_MAX} are read`);
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (cause) {
    throw new AppError('BUNDLE_INVALID', `${path}: expected a JSON file of a run bundle: ${reasonOf(cause)}`, { cause });
  }
}

function parseManifest(unknown: unknown, path: string): Manifest {
  const manifest = typeof unknown === 'object' && unknown !== null ? (unknown as Readonly<Record<string, unknown>>) : {};
  if (manifest['schemaVersion'] !== 1) {
    throw new AppError('BUNDLE_INVALID', `${path}: schemaVersion: expected 1, got ${JSON.stringify(manifest['schemaVersion'])}`);
  }
  const run = manifest['run'] as Readonly<Record<string, unknown>> | undefined | null;
  for (const name of ['id', 'name', 'startedAt']) {
    if (typeof run?.[name] !== 'string') throw new AppError('BUNDLE_INVALID', `${path}: run.${name}: expected a string`);
  }
  if (typeof manifest['intervalMs'] !== 'number') throw new AppError('BUNDLE_INVALID', `${path}: intervalMs: expected a number`);
  for (const name of ['agents', 'epochs', 'events']) {
    if (!Array.isArray(manifest[name])) throw new AppError('BUNDLE_INVALID', `${path}: ${name}: expected an array`);
  }
  return manifest as unknown as Manifest;
}
