// The comparison of any two entries. Their data come as scripts, which a page opened from a file may load.
"use strict";
const jdartWaiting = {};
const jdartEntries = {};

/** Called by data/<entry>.js. */
function jdartEntry(entry) {
  jdartEntries[entry.slug] = entry;
}

function jdartLoad({ value: slug, dataset }) {
  jdartWaiting[slug] ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `data/${slug}.js?${dataset.version}`;
    script.addEventListener("load", () => (jdartEntries[slug] ? resolve(jdartEntries[slug]) : reject(new Error(slug))));
    script.addEventListener("error", () => reject(new Error(slug)));
    document.head.append(script);
  });
  return jdartWaiting[slug];
}

function jdartMake(tag, properties, ...children) {
  const { attributes, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function jdartWord(tag, key, args) {
  return jdartMark(document.createElement(tag), key, args);
}

function jdartSigned(value) {
  const text = Math.abs(value).toFixed(4);
  return `${Number(text) === 0 ? "±" : value < 0 ? "−" : "+"}${text}`;
}

function jdartPartClass(value) {
  return Math.abs(value) < 5e-5 ? "" : value < 0 ? "loss" : "gain";
}

/** A number as people read it; what rounds to nothing has no sign. */
function jdartNumber(value, digits = 4, none = "–") {
  if (value === null || value === undefined) return none;
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

function jdartPartCell(value) {
  return jdartMake("td", { className: `n ${jdartPartClass(value)}` }, jdartSigned(value));
}

function jdartBarCell(value, most) {
  const make = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, one] of Object.entries(attributes)) element.setAttribute(name, one);
    return element;
  };
  const width = most > 0 ? Math.min(1, Math.abs(value) / most) * 48 : 0;
  const svg = make("svg", { class: "gain-bar", viewBox: "0 0 100 10", width: 100, height: 10, "aria-hidden": "true" });
  const left = value >= 0 ? 50 : 50 - width;
  svg.append(make("rect", { x: left, y: 1, width, height: 8, class: value < 0 ? "loss" : "gain" }));
  svg.append(make("path", { d: "M50 0v10", class: "zero" }));
  return jdartMake("td", { className: "bar-cell" }, svg);
}

function jdartTable(key, name, heads, lines) {
  const head = jdartMake("tr", {}, ...heads);
  const table = jdartMake("table", { className: "split" });
  table.dataset.split = name;
  table.append(jdartMake("thead", {}, head), jdartMake("tbody", {}, ...lines));
  const scroll = jdartMake("div", { className: "scroll", tabIndex: 0, attributes: { role: "region" } }, table);
  jdartMarkAttribute(scroll, "aria-label", key);
  return scroll;
}

function jdartHead(content, kind = "n") {
  return jdartMake("th", { scope: "col", className: kind }, content);
}

function jdartMetricTable(a, b, found) {
  const most = Math.max(...Object.values(found.metrics).map(Math.abs));
  const lines = jdartMetrics
    .map(([key, label, digits]) => [found.metrics[key], label, a.scores[key], b.scores[key], digits])
    .sort((one, two) => Math.abs(two[0]) - Math.abs(one[0]))
    .map(([part, label, ours, theirs, digits]) =>
      jdartMake(
        "tr",
        {},
        jdartMake("th", { scope: "row" }, label),
        jdartMake("td", { className: "n" }, jdartNumber(ours, digits)),
        jdartMake("td", { className: "n" }, jdartNumber(theirs, digits)),
        jdartPartCell(part),
        jdartBarCell(part, most),
      ),
    );
  const heads = [jdartHead(jdartWord("span", "metric"), ""), jdartHead("A"), jdartHead("B")];
  heads.push(jdartHead(jdartWord("span", "to-final")), document.createElement("td"));
  return jdartTable("compared.metrics", "metrics", heads, lines);
}

function jdartStyleOrder(found) {
  return Object.entries(found.styles)
    .map(([style, parts]) => [style, jdartSum(Object.values(parts)), parts])
    .sort((one, two) => Math.abs(two[1]) - Math.abs(one[1]));
}

function jdartStyleTable(found, ids) {
  const order = jdartStyleOrder(found);
  const most = Math.max(Math.abs(found.elsewhere), ...order.map(([, total]) => Math.abs(total)));
  const lines = order.map(([style, total, parts]) => {
    const link = jdartMake("a", { href: `#${ids[style]}` }, jdartMake("bdi", {}, style));
    link.addEventListener("click", (event) => {
      event.preventDefault();
      jdartSetHash({ style });
      document.getElementById(ids[style]).scrollIntoView();
    });
    const cells = jdartPerStyle.map((key) => jdartPartCell(parts[key]));
    return jdartMake(
      "tr",
      {},
      jdartMake("th", { scope: "row" }, link),
      jdartPartCell(total),
      jdartBarCell(total, most),
      ...cells,
    );
  });
  const blank = jdartMake("td", { colSpan: jdartPerStyle.length });
  lines.push(
    jdartMake(
      "tr",
      {},
      jdartMake("th", { scope: "row" }, jdartWord("span", "elsewhere")),
      jdartPartCell(found.elsewhere),
      jdartBarCell(found.elsewhere, most),
      blank,
    ),
  );
  const labels = Object.fromEntries(jdartMetrics.map(([key, label]) => [key, label]));
  const heads = [jdartHead(jdartWord("span", "style"), ""), jdartHead(jdartWord("span", "to-final"))];
  heads.push(document.createElement("td"), ...jdartPerStyle.map((key) => jdartHead(labels[key])));
  return jdartTable("compared.styles", "styles", heads, lines);
}

function jdartImage(small, large, alt, slot) {
  const image = jdartMake("img", { alt, width: slot, height: slot, loading: "lazy", decoding: "async" });
  if (large) Object.assign(image, { sizes: `${slot}px`, srcset: `${small} 96w, ${large} ${jdartLarge}w` });
  image.src = small;
  return jdartMake("a", { className: "zoom", href: large || small }, image);
}

function jdartFigure(entry, style, picture, side) {
  if (!picture) return jdartMake("figure", { className: "unknown" }, jdartWord("figcaption", "compare.missing"));
  const kind = picture.hit === null ? "unknown" : picture.hit ? "hit" : "miss";
  const figure = jdartMake("figure", { className: kind });
  Object.assign(figure.dataset, { style, entry: entry.title });
  const values = jdartPictureScores.map(([key]) => picture.scores[key]);
  if (values.some((value) => value !== undefined)) {
    figure.dataset.scores = values.map((value) => jdartNumber(value, 4, "-")).join(" ");
  }
  if (picture.small) figure.append(jdartImage(picture.small, picture.large, picture.prompt, 104));
  else figure.append(jdartMake("span", { className: "blank" }));
  const caption = jdartMake("figcaption", {}, jdartMake("b", {}, side), " ");
  caption.append(jdartMake("span", { className: "prompt sr" }, picture.prompt));
  if (kind !== "unknown") {
    const key = picture.hit ? "hit" : picture.rank === null ? "miss" : "miss.rank";
    const said = jdartWord("span", key, { rank: picture.rank });
    said.className = "mark";
    caption.append(said);
    if (picture.saw.length) {
      caption.append(Object.assign(jdartWord("span", "saw", { what: picture.saw.join(", ") }), { className: "saw" }));
    }
  }
  figure.append(caption);
  return figure;
}

function jdartReferences(style) {
  const list = jdartMake("ul", { className: "pictures references" });
  for (const [object, small, large] of style.references) {
    const figure = jdartMake("figure", {}, jdartImage(small, large, object, 72));
    figure.append(jdartMake("figcaption", {}, object));
    list.append(jdartMake("li", {}, figure));
  }
  return list;
}

function jdartPairs(a, b, found, style) {
  const pictures = [a, b].map((entry) =>
    Object.fromEntries((entry.styles[style]?.pictures || []).map((picture) => [picture.file, picture])),
  );
  const files = [...new Set(pictures.flatMap((one) => Object.keys(one)))].sort();
  const pairs = files.map((file) => {
    const [one, two] = pictures.map((side) => side[file]);
    return { one, two, part: found ? jdartPicturePart(found, style, one, two) : null };
  });
  pairs.sort((one, two) => Math.abs(two.part || 0) - Math.abs(one.part || 0));
  const list = jdartMake("ul", { className: "pairs" });
  for (const { one, two, part } of pairs) {
    const head = jdartMake("h3", {}, (one || two).prompt);
    if (part !== null) {
      const said = jdartWord("span", "compare.one-picture", { part: jdartSigned(part) });
      said.className = jdartPartClass(part);
      head.append(" ", said);
    }
    const both = jdartMake("div", {}, jdartFigure(a, style, one, "A"), jdartFigure(b, style, two, "B"));
    list.append(jdartMake("li", {}, head, both));
  }
  return list;
}

function jdartSummary(a, b, total) {
  const card = (entry, side) => {
    const range = entry.interval ? ` (${entry.interval.map((end) => jdartNumber(end)).join("–")})` : "";
    const link = jdartMake("a", { href: entry.page }, jdartMake("bdi", {}, entry.title));
    const value = jdartMake("b", { className: "value" }, jdartNumber(entry.scores.final, 4));
    const head = jdartMake("h2", {}, `${side} · `, link);
    if (entry.post_processed) {
      head.append(" ", Object.assign(jdartWord("span", "badge.post-processed"), { className: "badge post-processed" }));
    }
    return jdartMake("div", { className: "card" }, head, value, range);
  };
  const cards = jdartMake("div", { className: "parts versus" }, card(a, "A"), card(b, "B"));
  if (total === null) return cards;
  const sum = jdartMake("div", { className: "card" }, jdartWord("h2", "compare.total"));
  sum.append(jdartMake("b", { className: `value ${jdartPartClass(total)}` }, jdartSigned(total)));
  cards.append(sum);
  return cards;
}

function jdartShow(place, a, b) {
  const found = jdartDifference(a, b);
  const parts = [jdartSummary(a, b, found ? found.total : null)];
  const warn = (key) => parts.push(Object.assign(jdartWord("p", key), { className: "warning" }));
  if (a.slug === b.slug) warn("compare.same");
  if (a.section !== b.section) warn("compare.apart");
  const styles = found ? jdartStyleOrder(found).map(([style]) => style) : Object.keys({ ...a.styles, ...b.styles });
  const ids = Object.fromEntries(styles.map((style, i) => [style, `pair-${i}`]));
  if (found) {
    parts.push(jdartMake("section", {}, jdartWord("h2", "compared.metrics"), jdartMetricTable(a, b, found)));
    parts.push(jdartMake("section", {}, jdartWord("h2", "compared.styles"), jdartStyleTable(found, ids)));
  } else warn("compare.lacking");
  for (const style of styles) {
    const section = jdartMake("section", { className: "gallery", id: ids[style] }, jdartWord("h2", "style.named", { style }));
    section.append(jdartReferences((a.styles[style] || b.styles[style])), jdartPairs(a, b, found, style));
    parts.push(section);
  }
  place.replaceChildren(...parts);
  const asked = jdartHash().get("style");
  if (asked in ids) document.getElementById(ids[asked]).scrollIntoView();
}

for (const form of document.querySelectorAll("[data-compare]")) {
  const place = document.querySelector("[data-result]");
  const said = form.querySelector("[data-said]");
  const sides = ["a", "b"].map((name) => form.elements.namedItem(name));
  const compare = async () => {
    const wanted = sides.map((side) => side.value).join();
    jdartSetHash({ a: sides[0].value, b: sides[1].value });
    try {
      const [a, b] = await Promise.all(sides.map((side) => jdartLoad(side.selectedOptions[0])));
      if (wanted !== sides.map((side) => side.value).join()) return; // another pair was chosen meanwhile
      jdartShow(place, a, b);
      const finals = [a.scores.final, b.scores.final];
      const total = finals.includes(null) ? "–" : jdartSigned(finals[0] - finals[1]);
      jdartMark(said, "compare.done", { a: a.title, b: b.title, total });
    } catch {
      place.replaceChildren();
      jdartMark(said, "compare.failed");
    }
  };
  const choose = () => {
    const asked = jdartHash();
    sides.forEach((side, i) => {
      const slug = asked.get(side.name);
      const known = [...side.options].findIndex((option) => option.value === slug); // nothing else is ever loaded
      side.selectedIndex = known >= 0 ? known : Math.min(i, side.options.length - 1);
    });
    compare();
  };
  form.addEventListener("change", compare);
  form.querySelector("[data-swap]").addEventListener("click", () => {
    [sides[0].selectedIndex, sides[1].selectedIndex] = [sides[1].selectedIndex, sides[0].selectedIndex];
    compare();
  });
  window.addEventListener("hashchange", choose);
  choose();
}
