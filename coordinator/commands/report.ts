import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { AppError, EXIT_CODES } from '../../shared/base/index.ts';
import {
  BUNDLE_FILES,
  readBundle,
  readTrend,
  renderCsv,
  renderHtml,
  renderJson,
  renderJunit,
  renderMarkdown,
  renderSummary,
  renderTrendHtml,
  renderTrendJson,
  renderTrendMarkdown,
  renderTrendText,
  type Bundle,
  type Trend,
} from '../../shared/report/index.ts';
import type { Exit } from './command.ts';

interface Flags {
  readonly format: Format;
  readonly out?: string;
  readonly trend?: boolean;
}

type Format = keyof typeof RUN_FORMATS;
type Rendered = string | Promise<string>;

const RUN_FORMATS = {
  html: (bundle: Bundle): Rendered => renderHtml(bundle),
  text: ({ summary }: Bundle, color: boolean): Rendered => renderSummary(summary, { color }),
  json: ({ summary }: Bundle): Rendered => renderJson(summary),
  junit: ({ summary }: Bundle): Rendered => renderJunit(summary),
  csv: ({ summary }: Bundle): Rendered => renderCsv(summary),
  md: ({ summary }: Bundle): Rendered => renderMarkdown(summary),
} as const;

const TREND_FORMATS: Readonly<Partial<Record<Format, (trend: Trend) => Rendered>>> = {
  html: renderTrendHtml,
  text: renderTrendText,
  json: renderTrendJson,
  md: renderTrendMarkdown,
};

const TREND_FILE = 'trend.html';
/** As everywhere: standard output. */
const STDOUT = '-';

/** `muster report`: a bundle, or a folder of bundles, for people and for other programs. Needs no coordinator and no network. */
export function reportCommand(exit: Exit): Command {
  return new Command('report')
    .description('make a report of a run bundle, or of how the runs in a folder went one after the other')
    .argument('<dir>', 'a run bundle; with --trend a folder of them')
    .addOption(new Option('--format <format>', 'what to make').choices(Object.keys(RUN_FORMATS)).default('html'))
    .option(
      '--out <file>',
      'where to write it; - is standard output. Without it a page goes into the folder, anything else to standard output',
    )
    .option('--trend', 'percentiles per run over time, with the points at which they changed')
    .action(async (dir: string, flags: Flags) => {
      const out = flags.out ?? (flags.format === 'html' ? join(dir, flags.trend === true ? TREND_FILE : BUNDLE_FILES.report) : STDOUT);
      const text = await (flags.trend === true ? renderTrend(dir, flags.format) : renderRun(dir, flags.format, out));
      if (out === STDOUT) process.stdout.write(text);
      else {
        await writeWhole(out, text);
        process.stderr.write(`report: ${out}\n`);
      }
      exit(EXIT_CODES.passed.code);
    });
}

async function renderRun(dir: string, format: Format, out: string): Promise<string> {
  const isColored = out === STDOUT && process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
  return RUN_FORMATS[format](await readBundle(dir), isColored);
}

async function renderTrend(dir: string, format: Format): Promise<string> {
  const render = TREND_FORMATS[format];
  if (render === undefined) {
    throw new AppError('USAGE', `--format ${format}: expected one of ${Object.keys(TREND_FORMATS).join(', ')} with --trend`);
  }
  return render(await readTrend(dir));
}

/** Whole or not at all, so that nobody opens half a page. */
async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.part-${process.pid}`;
  try {
    // A device or a pipe cannot be replaced, only written to.
    if (path.startsWith('/dev/')) {
      await writeFile(path, text);
      return;
    }
    await writeFile(temporary, text);
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true }).catch(() => undefined); // The first failure is the one to tell.
    throw AppError.from(thrown, 'OUT_UNWRITABLE', `cannot write ${path}`);
  }
}
