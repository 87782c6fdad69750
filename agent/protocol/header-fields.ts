/** The fields of a response head, taken apart when somebody asks for one: most heads are only looked at for what frames the message.
 *  Name, value, name, value, … in order of arrival, duplicates kept, names in lower case. A line that was cut off is no field. */
export function fieldsOf(head: string): string[] {
  const fields: string[] = [];
  let from = head.indexOf(LINE_END, emptyLinesEnd(head)) + LINE_END.length;
  for (;;) {
    const end = head.indexOf(LINE_END, from);
    if (end <= from) return fields;
    const colon = head.indexOf(':', from);
    fields.push(head.slice(from, colon).toLowerCase(), withoutBlanks(head, colon + 1, end));
    from = end + LINE_END.length;
  }
}

/** The first value of that lower-case name. */
export function firstField(fields: readonly string[], lowerCaseName: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === lowerCaseName) return fields[i + 1];
  return undefined;
}

const LINE_END = '\r\n';
const [CR, LF, SPACE, HTAB] = [0x0d, 0x0a, 0x20, 0x09];

/** Before the status line they are allowed (RFC 9112, 2.2). */
function emptyLinesEnd(head: string): number {
  let at = 0;
  while (head.charCodeAt(at) === CR || head.charCodeAt(at) === LF) at++;
  return at;
}

/** Around a value, only these two are no part of it (RFC 9110, 5.5). */
function withoutBlanks(text: string, from: number, to: number): string {
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === HTAB;
}
