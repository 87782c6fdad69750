import { fieldsOf, firstField, type Exchange } from '../protocol/index.ts';

/** A finished exchange as checks, captures and functions read it: values of its own, since the exchange is used again. Head and body are
 *  decoded and parsed at most once, and only when somebody asks. */
export class ResponseView {
  status = 0;
  bodyBytes = 0;
  private body: Buffer | undefined;
  private head = '';
  private text: string | undefined;
  private document: unknown;
  private isParsed = false;
  private fields: readonly string[] | undefined;

  /** Turns this view to another exchange. */
  of(exchange: Exchange): this {
    this.status = exchange.status;
    this.bodyBytes = exchange.bodyBytes;
    this.body = exchange.responseBody;
    this.head = exchange.responseHead;
    this.text = undefined;
    this.document = undefined;
    this.isParsed = false;
    this.fields = undefined;
    return this;
  }

  get bodyText(): string {
    return (this.text ??= this.body?.toString('utf8') ?? '');
  }

  /** `undefined` when the body is not JSON. */
  get json(): unknown {
    if (!this.isParsed) {
      this.isParsed = true;
      try {
        this.document = JSON.parse(this.bodyText);
      } catch {
        // Not JSON: every path into it finds nothing, which whoever asked then says.
        this.document = undefined;
      }
    }
    return this.document;
  }

  /** First header of that lower-case name. */
  header(lowerCaseName: string): string | undefined {
    return firstField((this.fields ??= fieldsOf(this.head)), lowerCaseName);
  }
}
