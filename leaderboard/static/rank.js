// The rank of this page's entry, out of the one file that has those of all: so pages stay as they are when others move.
"use strict";
function jdartRanks(ranks) {
  const place = document.querySelector("[data-rank]");
  const [rank, range] = (place && ranks[place.dataset.rank]) || [];
  if (!rank) return;
  place.textContent = rank;
  for (const possible of document.querySelectorAll("[data-range]")) possible.textContent = range || rank;
}
