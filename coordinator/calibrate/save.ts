import { rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, makeFolders } from '../../shared/base/index.ts';
import type { Calibration } from '../../shared/wire/index.ts';

/** Writes it whole or not at all: agents may start at any moment. Throws `AppError('OUT_UNWRITABLE')`. */
export async function saveCalibration(file: string, calibration: Calibration): Promise<void> {
  const part = `${file}.${process.pid}.part`;
  try {
    await makeFolders(dirname(file));
    await writeFile(part, `${JSON.stringify(calibration, undefined, 2)}\n`);
    await rename(part, file);
  } catch (thrown) {
    throw AppError.from(thrown, 'OUT_UNWRITABLE', `cannot write the calibration to ${file}`);
  }
}
