// Search while typing: at once in the deployments that are loaded, and where these are not all
// there are, a moment later in all of them.
"use strict";
(() => {
  const MOMENT_MS = 350;
  const search = document.getElementById("search");
  const form = document.getElementById("filters");
  let later = 0;

  function sift() {
    const words = search.value.toLowerCase().trim();
    let shown = 0;
    const rows = document.querySelectorAll("#list tr[data-search]");
    for (const row of rows) {
      row.hidden = !row.dataset.search.includes(words);
      if (!row.hidden) shown += 1;
    }
    const none = document.getElementById("none-loaded");
    if (none) none.hidden = shown > 0;
    return shown;
  }

  search.addEventListener("input", () => {
    const shown = sift();
    clearTimeout(later);
    if (document.getElementById("list").dataset.whole === "yes") {
      const said = shown === 1 ? "1 deployment" : `${shown} deployments`;
      later = setTimeout(() => { document.getElementById("announcer").textContent = said; }, MOMENT_MS);
    } else {
      later = setTimeout(() => htmx.trigger(form, "search-all"), MOMENT_MS);
    }
  });
  document.addEventListener("htmx:afterSwap", sift);
  sift();
})();
