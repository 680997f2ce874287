// A purchase that has just been begun goes on to Stripe's page at once; coming back by the
// browser's own button stays here.
"use strict";
(() => {
  const link = document.querySelector("a[data-go]");
  if (!link) return;
  history.replaceState(null, "", location.pathname);
  location.assign(link.href);
})();
