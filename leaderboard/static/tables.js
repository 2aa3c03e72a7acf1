// Sorting by the headings of a table. The page is complete, and sorted by Final, without it.
"use strict";
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const first = [...body.rows]; // as built; equals stay in this order
  if (first.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells].filter((head) => head.dataset.key);
  const sort = (head, order) => {
    const column = head.cellIndex;
    heads.forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const key = (row, place) => {
      if (head.dataset.key === "rank") return place; // rows are built in the order of their ranks
      const cell = row.cells[column];
      const text = cell.dataset.v ?? (cell.querySelector("a") || cell).textContent.trim();
      if (text === "" || text === "–") return null;
      return cell.matches("td:not(.date)") ? Number(text) : text;
    };
    const rows = first.map((row, place) => [key(row, place), place, row]);
    rows.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j; // no value: always last
      return sign * (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true })) || i - j;
    });
    body.append(...rows.map(([, , row]) => row));
  };
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const best = head.dataset.better === "high" ? "descending" : "ascending"; // the best on top
      const other = best === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === best ? other : best;
      sort(head, order);
      jdartSetHash({ sort: `${table.dataset.sortable}.${head.dataset.key}.${order}` });
    });
  }
  const asked = (jdartHash().get("sort") || "").split(".");
  const order = asked.pop();
  const head = heads.find((one) => one.dataset.key === asked[asked.length - 1]);
  const here = asked.slice(0, -1).join(".") === table.dataset.sortable;
  if (here && head && ["ascending", "descending"].includes(order)) sort(head, order);
}
