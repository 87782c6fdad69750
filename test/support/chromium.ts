import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserContext, type Page } from 'playwright-core';

/** Path of a Chromium, as `scripts/chromium --find` prints it; `undefined` when there is none here. */
export function findChromium(): string | undefined {
  try {
    return execFileSync('bash', [join(import.meta.dirname, '../../scripts/chromium'), '--find'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    // Its exit code says that there is none, which is an answer.
    return undefined;
  }
}

/** Quiet: a browser that a test starts asks nobody for anything. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A page of its own Chromium with a profile of its own, and everything that went wrong in it. */
export class Browser {
  readonly page: Page;
  /** Errors and warnings of the console, exceptions, and requests that left the disk. */
  readonly complaints: string[] = [];
  private readonly context: BrowserContext;
  private readonly profile: string;

  private constructor(context: BrowserContext, page: Page, profile: string) {
    this.context = context;
    this.page = page;
    this.profile = profile;
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.complaints.push(`${message.type()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.complaints.push(`exception: ${error.message}`));
    page.on('request', (request) => {
      if (!/^(file|data):/.test(request.url())) this.complaints.push(`request: ${request.url()}`);
    });
  }

  static async start(executablePath: string): Promise<Browser> {
    const profile = await mkdtemp(join(tmpdir(), 'muster-chromium-'));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath,
      headless: true,
      args: FLAGS,
      viewport: { width: 1280, height: 900 },
    });
    return new Browser(context, await context.newPage(), profile);
  }

  /** Opens a page from disk and waits until its charts are drawn. Milliseconds from the start of the navigation to there, as the page measured. */
  async open(file: string): Promise<number> {
    await this.page.goto(`file://${file}`);
    await this.page.waitForFunction('document.documentElement.dataset.drawnMs !== undefined');
    return Number(await this.page.getAttribute('html', 'data-drawn-ms'));
  }

  /** The same once more. */
  reopen(): Promise<number> {
    return this.open(new URL(this.page.url()).pathname);
  }

  async stop(): Promise<void> {
    await this.context.close();
    await rm(this.profile, { recursive: true, force: true });
  }
}
