// A larger look at a picture: arrow keys go on, + and - zoom, its metrics stand beside it. Links to the picture without it.
"use strict";
(() => {
  const make = (tag, kind, ...children) => {
    const element = document.createElement(tag);
    element.className = kind;
    element.append(...children);
    return element;
  };
  const button = (key, sign, act) => {
    const one = make("button", "", sign);
    one.type = "button";
    jdartMarkAttribute(one, "aria-label", key);
    jdartMarkAttribute(one, "title", key);
    one.addEventListener("click", act);
    return one;
  };
  const links = () => [...document.querySelectorAll("a.zoom")];
  let at = 0;
  let zoom = 1;
  let opener = null;

  const image = make("img", "");
  image.width = image.height = 320;
  image.alt = "";
  const frame = make("div", "box-frame", image);
  frame.tabIndex = 0;
  const title = make("h2", "");
  title.id = "box-title";
  const count = make("p", "note");
  const said = make("p", "box-said");
  const scores = make("dl", "box-scores");
  const references = make("div", "box-references");
  const step = (by) => show((at + by + links().length) % links().length);
  const enlarge = (by) => {
    zoom = Math.min(4, Math.max(1, zoom + by));
    frame.dataset.zoom = zoom;
  };
  const bar = make(
    "div",
    "box-bar",
    button("box.previous", "←", () => step(-1)),
    button("box.next", "→", () => step(1)),
    button("box.smaller", "−", () => enlarge(-1)),
    button("box.larger", "+", () => enlarge(1)),
    button("box.close", "×", () => box.close()),
  );
  const side = make("div", "box-side", title, count, said, scores, references, jdartMark(make("p", "note"), "box.keys"));
  const box = make("dialog", "box", bar, frame, side);
  box.setAttribute("aria-labelledby", "box-title");
  document.body.append(box);

  function show(place) {
    const all = links();
    at = place;
    const link = all[at];
    const figure = link.closest("figure");
    const reference = figure.closest("ul.references") !== null;
    const values = figure.dataset.scores;
    const style = link.closest("[data-style]")?.dataset.style;
    const entry = link.closest("[data-entry]")?.dataset.entry;
    image.src = link.href;
    image.alt = link.querySelector("img").alt;
    const marks = [...figure.querySelectorAll(".mark, .saw")].map((one) => one.cloneNode(true));
    title.replaceChildren(image.alt);
    jdartMark(count, "box.count", { i: at + 1, n: all.length });
    const whose = reference ? jdartMark(make("span", ""), "references") : make("bdi", "", entry || "");
    said.replaceChildren(whose, ...(style ? [" · ", jdartMark(make("span", ""), "style.named", { style })] : []), ...marks);
    said.className = `box-said ${figure.className}`;
    scores.replaceChildren();
    (values ? values.split(" ") : []).forEach((value, i) => {
      if (value !== "-") scores.append(make("dt", "", jdartPictureScores[i][1]), make("dd", "", value));
    });
    references.replaceChildren();
    const row = reference ? null : findReferences(link);
    if (row) {
      references.append(jdartMark(make("h3", ""), "box.references"));
      for (const one of row.querySelectorAll("img")) {
        const copy = one.cloneNode();
        copy.width = copy.height = 56;
        references.append(copy);
      }
    }
    const item = link.closest("li[id]");
    jdartSetHash({ view: item ? item.id : "" });
  }

  function findReferences(link) {
    const section = link.closest("section.gallery");
    return (section || document).querySelector("ul.references");
  }

  function open(link) {
    opener = link;
    enlarge(-4);
    show(links().indexOf(link));
    if (!box.open) box.showModal();
    frame.focus();
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.zoom");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    open(link);
  });
  box.addEventListener("click", (event) => {
    if (event.target === box) box.close(); // beside it
  });
  box.addEventListener("close", () => {
    jdartSetHash({ view: "" });
    const last = links()[at];
    (last || opener)?.focus();
  });
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const zoomed = zoom > 1 && document.activeElement === frame; // then the arrows move the picture
    const acts = {
      ArrowLeft: () => zoomed || step(-1),
      ArrowRight: () => zoomed || step(1),
      Home: () => zoomed || show(0),
      End: () => zoomed || show(links().length - 1),
      "+": () => enlarge(1),
      "=": () => enlarge(1),
      "-": () => enlarge(-1),
    };
    const act = acts[event.key];
    if (act && act() !== true) event.preventDefault();
  });
  const asked = jdartHash().get("view");
  const link = asked && document.getElementById(asked)?.querySelector("a.zoom");
  if (link) {
    link.scrollIntoView({ block: "center" });
    open(link);
  }
})();
