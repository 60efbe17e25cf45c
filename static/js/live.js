// What changes by itself asks for itself every few seconds, as long as somebody looks: not in a hidden tab, not while
// something in it is in use, and not after an answer that says no.
"use strict";

(() => {
  const EVERY = 5000;
  const inUse = (node) => node.contains(document.activeElement) || node.querySelector("details[open], .feel:hover");

  // `data-live="10"`: every ten seconds.
  const isDue = (node, turn) => turn % Math.max(1, Math.round((Number(node.dataset.live) * 1000 || EVERY) / EVERY)) === 0;
  let turns = 0;

  function ask(turn = 0) {
    if (document.visibilityState !== "visible") return;
    for (const node of document.querySelectorAll("[data-live]"))
      if (isDue(node, turn) && !inUse(node)) htmx.trigger(node, "live");
  }

  setInterval(() => ask(++turns), EVERY);
  document.addEventListener("visibilitychange", () => ask());

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
