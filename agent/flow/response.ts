import type { Exchange } from '../protocol/index.ts';

/** A finished exchange as checks and captures read it. The body is decoded and parsed at most once, and only when somebody asks. */
export class ResponseView {
  private exchange: Exchange | undefined;
  private text: string | undefined;
  private document: unknown;
  private isParsed = false;

  /** Turns this view to another exchange. */
  of(exchange: Exchange): this {
    this.exchange = exchange;
    this.text = undefined;
    this.document = undefined;
    this.isParsed = false;
    return this;
  }

  get status(): number {
    return this.exchange?.status ?? 0;
  }

  get bodyBytes(): number {
    return this.exchange?.bodyBytes ?? 0;
  }

  get bodyText(): string {
    return (this.text ??= this.exchange?.responseBody?.toString('utf8') ?? '');
  }

  /** `undefined` when the body is not JSON. */
  get json(): unknown {
    if (!this.isParsed) {
      this.isParsed = true;
      try {
        this.document = JSON.parse(this.bodyText);
      } catch {
        // Not JSON: every path into it finds nothing, which the check or capture then says.
        this.document = undefined;
      }
    }
    return this.document;
  }

  /** First header of that lower-case name. */
  header(lowerCaseName: string): string | undefined {
    const headers = this.exchange?.headers ?? [];
    for (let i = 0; i < headers.length; i += 2) if (headers[i] === lowerCaseName) return headers[i + 1];
    return undefined;
  }
}
