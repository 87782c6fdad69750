/** Tables with the class `sortable`: the titles of columns sort, buttons with `aria-controls` open what belongs to a row. */
export function liveTables(onOpen: (opened: HTMLElement) => void): void {
  for (const table of document.querySelectorAll<HTMLTableElement>('table.sortable')) {
    const buttons = [...table.querySelectorAll<HTMLButtonElement>(':scope > thead button.sort')];
    for (const button of buttons) button.addEventListener('click', () => sortBy(table, button));
    for (const button of table.querySelectorAll<HTMLButtonElement>('button.opens')) {
      button.addEventListener('click', () => toggle(button, onOpen));
    }
  }
}

function toggle(button: HTMLButtonElement, onOpen: (opened: HTMLElement) => void): void {
  const opened = document.getElementById(button.getAttribute('aria-controls') ?? '');
  if (opened === null) return;
  const isOpen = opened.hidden;
  opened.hidden = !isOpen;
  button.setAttribute('aria-expanded', String(isOpen));
  if (isOpen) onOpen(opened);
}

/** Numbers begin with the largest, words with the first of the alphabet; a second click turns it round. */
function sortBy(table: HTMLTableElement, button: HTMLButtonElement): void {
  const title = button.closest('th');
  if (title === null) return;
  const isNumber = title.classList.contains('number');
  const first = isNumber ? 'descending' : 'ascending';
  const order = title.getAttribute('aria-sort') === first ? (isNumber ? 'ascending' : 'descending') : first;
  for (const other of table.querySelectorAll(':scope > thead th')) other.removeAttribute('aria-sort');
  title.setAttribute('aria-sort', order);
  const { cellIndex } = title;
  const value = (body: HTMLTableSectionElement): string => body.rows[0]?.cells[cellIndex]?.dataset['value'] ?? '';
  const sign = order === 'ascending' ? 1 : -1;
  const sorted = [...table.tBodies].sort((a, b) =>
    isNumber ? sign * (Number(value(a)) - Number(value(b))) : sign * value(a).localeCompare(value(b)),
  );
  table.append(...sorted);
}
