// The previews of rows far down a ranking: a page of a thousand rows would be too long with all of them as elements.
"use strict";
for (const strip of document.querySelectorAll("[data-strip]")) {
  for (const name of strip.dataset.strip.split(" ")) {
    const image = document.createElement("img");
    Object.assign(image, { alt: "", width: 34, height: 34, loading: "lazy", src: `thumbnails/${name}.webp` });
    strip.append(image);
  }
}
