// Filters of the first page: by name, team, tag and date. What is chosen stands in the address.
"use strict";
for (const form of document.querySelectorAll("[data-filters]")) {
  const names = ["name", "team", "tag", "from", "to"].filter((name) => form.elements.namedItem(name));
  const rows = [...document.querySelectorAll("table[data-sortable] tbody tr")].map((row) => ({
    row,
    title: row.querySelector("th.entry a").textContent.toLowerCase(),
    team: row.querySelector(".team")?.textContent,
    tags: [...row.querySelectorAll(".tag")].map((tag) => tag.textContent),
    date: row.querySelector("time")?.textContent,
  }));
  const filter = () => {
    const want = Object.fromEntries(names.map((name) => [name, form.elements.namedItem(name).value]));
    let shown = 0;
    for (const { row, title, team, tags, date } of rows) {
      const fits =
        (!want.name || title.includes(want.name.trim().toLowerCase())) &&
        (!want.team || team === want.team) &&
        (!want.tag || tags.includes(want.tag)) &&
        (!want.from || (date !== undefined && date >= want.from)) &&
        (!want.to || (date !== undefined && date <= want.to));
      row.hidden = !fits;
      shown += fits;
    }
    jdartMark(form.querySelector("[data-shown]"), "filter.shown", { n: shown, all: rows.length });
    jdartSetHash(want);
  };
  const asked = jdartHash();
  for (const name of names) if (asked.get(name)) form.elements.namedItem(name).value = asked.get(name);
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const event of ["input", "change"]) form.addEventListener(event, filter);
  form.addEventListener("reset", () => setTimeout(filter)); // the fields are empty only after the event
  filter();
}
