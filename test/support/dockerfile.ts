/** One `FROM` of a Dockerfile and the instructions that follow it. */
export class Stage {
  readonly from: string;
  readonly name: string | undefined;
  private readonly instructions: (readonly [keyword: string, rest: string])[] = [];

  constructor(rest: string) {
    const match = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(rest);
    if (match === null) throw new Error(`not a FROM: ${rest}`);
    this.from = match[1] ?? '';
    this.name = match[2];
  }

  add(keyword: string, rest: string): void {
    this.instructions.push([keyword, rest]);
  }

  /** What stands behind each instruction of that keyword, in order. */
  all(keyword: string): string[] {
    return this.instructions.flatMap(([each, rest]) => (each === keyword ? [rest] : []));
  }

  /** The same where there must be exactly one. */
  only(keyword: string): string {
    const [rest, ...more] = this.all(keyword);
    if (rest === undefined || more.length > 0) throw new Error(`expected one ${keyword}, found ${this.all(keyword).length}`);
    return rest;
  }

  /** The exec form: a JSON list of words. */
  list(keyword: string): string[] {
    return JSON.parse(this.only(keyword)) as string[];
  }
}

/** The stages of a Dockerfile without heredocs and variables. Lines that end in a backslash go on. */
export function parseDockerfile(text: string): readonly Stage[] {
  const stages: Stage[] = [];
  const lines = text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n');
  for (const line of lines) {
    const match = /^([A-Z]+)\s+(.*?)\s*$/.exec(line);
    if (match === null) continue;
    const [, keyword = '', rest = ''] = match;
    if (keyword === 'FROM') stages.push(new Stage(rest));
    else stages.at(-1)?.add(keyword, rest);
  }
  return stages;
}
