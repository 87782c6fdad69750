const POLL_MS = 5;

/** Resolves with the first truthy value of `condition`, asked every few milliseconds. Rejects past the deadline, naming what it waited for. */
export async function waitUntil<T>(
  description: string,
  condition: () => T | Promise<T>,
  deadlineMs = 10_000,
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, false | null | undefined | 0 | ''>;
    if (performance.now() >= end) throw new Error(`waited ${deadlineMs} ms in vain: ${description}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
