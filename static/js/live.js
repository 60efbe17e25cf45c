// What changes by itself asks for itself every few seconds, as long as somebody looks: not in a hidden tab, not while
// something in it is in use, and not after an answer that says no.
"use strict";

(() => {
  const EVERY = 5000;
  const inUse = (node) => node.contains(document.activeElement) || node.querySelector("details[open]");

  function ask() {
    if (document.visibilityState !== "visible") return;
    for (const node of document.querySelectorAll("[data-live]")) if (!inUse(node)) htmx.trigger(node, "live");
  }

  setInterval(ask, EVERY);
  document.addEventListener("visibilitychange", ask);

  const stop = (event) => event.detail.elt.removeAttribute("data-live");
  document.addEventListener("htmx:responseError", stop);
  document.addEventListener("htmx:sendError", stop);
  // Sent elsewhere (to sign in, say): go there, rather than put that page into this one.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { elt, xhr } = event.detail;
    if (!elt.hasAttribute("data-live") || new URL(xhr.responseURL).pathname === location.pathname) return;
    event.detail.shouldSwap = false;
    location.reload();
  });
})();
