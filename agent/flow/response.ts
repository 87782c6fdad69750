import { fieldsOf, firstField, type Exchange } from '../protocol/index.ts';

/** A finished exchange as checks and captures read it. Head and body are decoded and parsed at most once, and only when somebody asks. */
export class ResponseView {
  private exchange: Exchange | undefined;
  private text: string | undefined;
  private document: unknown;
  private isParsed = false;
  private fields: readonly string[] | undefined;

  /** Turns this view to another exchange. */
  of(exchange: Exchange): this {
    this.exchange = exchange;
    this.text = undefined;
    this.document = undefined;
    this.isParsed = false;
    this.fields = undefined;
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
    return firstField((this.fields ??= fieldsOf(this.exchange?.responseHead ?? '')), lowerCaseName);
  }
}
