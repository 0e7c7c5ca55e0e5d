// Tables are sorted by a click on a heading: numbers as numbers, and what has no number last.
function order(cell) {
  const text = cell.dataset.n ?? cell.textContent.replaceAll(",", "");
  const number = text.trim() === "" ? NaN : Number(text);
  return Number.isNaN(number) ? null : number;
}

function compare(a, b) {
  const [x, y] = [order(a), order(b)];
  if (x !== null && y !== null) return x - y;
  if (x !== null || y !== null) return x === null ? 1 : -1;
  return a.textContent.localeCompare(b.textContent, "en");
}

for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement, table = heading.closest("table"), body = table.tBodies[0];
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].sort((a, b) => compare(a.cells[heading.cellIndex], b.cells[heading.cellIndex]));
    body.append(...(down ? rows.reverse() : rows));
  });
}
