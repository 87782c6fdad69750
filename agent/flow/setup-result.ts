/** What the run's setup returned, for all VUs of an agent: they share one value, so it is frozen. */
export class SetupResult {
  private parsed: unknown;

  /** `undefined` until the setup has run, and when it returned nothing. */
  get value(): unknown {
    return this.parsed;
  }

  /** `json`: as it travelled; empty for nothing. */
  set(json: string): void {
    this.parsed = json === '' ? undefined : (JSON.parse(json, (_, value: unknown) => Object.freeze(value)) as unknown);
  }

  /** What stands at a path such as `user.id`; `undefined` when nothing does. */
  at(path: readonly string[]): unknown {
    let value = this.parsed;
    for (const key of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
      value = (value as Readonly<Record<string, unknown>>)[key];
    }
    return value;
  }
}
