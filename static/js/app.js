// What the pages can do beyond links and forms. Everything here is an addition: without it, every page still reads.
// No inline handlers, no eval, no style attributes: the Content-Security-Policy allows none of them.
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, attributes = {}, text = "") => {
    const node = ["line", "circle", "rect", "g"].includes(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text) node.textContent = text;
    return node;
  };
  const typing = (target) => target.closest("input, textarea, select, [contenteditable]");

  // ---- colours: light, dark, or the system's; a cookie, so that the server draws the first frame right ----

  function themes(root) {
    for (const box of all("[data-themes]", root)) box.hidden = false;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    const choice = button.dataset.themeChoice;
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `theme=${choice}; path=/; max-age=${choice ? 31536000 : 0}; samesite=lax${secure}`;
    if (choice) document.documentElement.dataset.theme = choice;
    else delete document.documentElement.dataset.theme;
    for (const other of all("[data-theme-choice]")) other.setAttribute("aria-pressed", String(other === button));
  });

  // ---- one's own time zone: what the browser says, offered beside the list ----

  function zones(root) {
    for (const list of all("select[data-own-zone]", root)) {
      const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
      if (!own || own === list.value || ![...list.options].some((option) => option.value === own)) continue;
      const button = make("button", { class: "btn", type: "button" }, `Take this browser’s: ${own}`);
      button.addEventListener("click", () => { list.value = own; button.remove(); list.focus(); });
      list.after(button);
    }
  }

  // ---- toasts ----

  const toast = {
    arm(node) {
      const close = node.querySelector("[data-close]");
      if (close) close.hidden = false;
      // What went wrong stays until it is read.
      if (["bad", "warn"].includes(node.dataset.toast)) return;
      let left = setTimeout(() => node.remove(), 6000);
      node.addEventListener("pointerenter", () => clearTimeout(left));
      node.addEventListener("focusin", () => clearTimeout(left));
      node.addEventListener("pointerleave", () => { left = setTimeout(() => node.remove(), 3000); });
    },
    show(text, tone = "") {
      const box = document.getElementById("toasts");
      const like = document.querySelector("#icon-shelf")?.content;
      if (!box || !like) return;
      const node = make("div", { class: "toast", "data-toast": tone });
      const mark = { good: "check", warn: "alert", bad: "alert" }[tone] || "info";
      const close = make("button", { class: "btn plain icon-only", type: "button", "data-close": "", "aria-label": "Close" });
      close.append(like.querySelector('[data-icon="close"] svg').cloneNode(true));
      node.append(like.querySelector(`[data-icon="${mark}"] svg`).cloneNode(true), make("span", {}, text), close);
      box.append(node);
      toast.arm(node);
    },
  };

  document.addEventListener("click", (event) => event.target.closest("[data-close]")?.closest(".toast")?.remove());

  document.addEventListener("sigma:toast", (event) => toast.show(event.detail));

  // ---- menus made of <details>: one press elsewhere, or Escape, closes them ----

  const menus = () => all(".tabbar details[open], details.menu[open]");
  document.addEventListener("click", (event) => {
    for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
  });

  // ---- keys ----

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of menus()) { menu.open = false; menu.querySelector("summary")?.focus(); }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "?") {
      document.getElementById("keys")?.togglePopover();
    } else if (event.key === "/") {
      const field = document.querySelector('main input[type="search"], main input[name="q"]');
      if (!field) return;
      field.focus();
      field.select();
    } else if (event.key === "[" || event.key === "]") {
      const link = document.querySelector(`.pager a[rel="${event.key === "[" ? "prev" : "next"}"]`);
      if (!link) return;
      link.click();
    } else return;
    event.preventDefault();
  });

  // ---- htmx: say that something is coming, and that it didn't come ----

  document.addEventListener("htmx:beforeRequest", (event) => event.detail.target?.setAttribute("aria-busy", "true"));
  document.addEventListener("htmx:afterRequest", (event) => event.detail.target?.removeAttribute("aria-busy"));
  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 401 || status === 403) toast.show("You are signed out, or this isn’t open to you. Load the page again.", "bad");
    else toast.show(`The server answered with ${status}. Nothing was changed.`, "bad");
  });
  document.addEventListener("htmx:sendError", () => toast.show("The server can’t be reached. Nothing was changed.", "bad"));
  document.addEventListener("htmx:timeout", () => toast.show("No answer in time. Nothing was changed.", "bad"));
  // The server may send HX-Trigger: {"toast": {"text": "…", "tone": "good"}}.
  document.addEventListener("toast", (event) => toast.show(event.detail.text ?? event.detail.value, event.detail.tone));
  document.addEventListener("htmx:load", (event) => ready(event.detail.elt));

  // ---- charts: crosshair, read-out, keyboard, drag to zoom. All figures come from the table behind ----

  function chart(figure) {
    if (figure.dataset.ready) return;
    const plot = figure.querySelector(".plot");
    const table = figure.parentElement.querySelector(".behind table");
    if (!plot || !table) return;
    figure.dataset.ready = "1";
    for (const title of all("title", plot)) title.remove();

    const heads = all("thead th", table).slice(1);
    const columns = heads.map((head) => ({ name: head.textContent.trim(), tone: Number(head.dataset.tone), said: "inHead" in head.dataset }));
    const rows = all("tbody tr", table).map((row) => ({
      x: Number(row.dataset.x),
      ys: row.dataset.y.split(" ").filter(Boolean).map((y) => (y === "-" ? null : Number(y))),
      head: row.dataset.head,
      from: row.dataset.from,
      to: row.dataset.to,
      cells: all("td", row).map((cell) => cell.textContent.trim()),
      href: row.querySelector("a")?.getAttribute("href"),
    }));
    if (!rows.length) return;
    const bars = !figure.classList.contains("line-chart");
    const tones = columns.filter((column) => column.tone).map((column) => column.tone);
    const height = Number(figure.dataset.height);
    const zoom = "zoom" in figure.dataset;

    const layer = make("g", { transform: "translate(0 12)" });
    const hair = make("line", { class: "hair", y1: 0, y2: height, visibility: "hidden" });
    const pick = make("rect", { class: "pick", y: 0, height, visibility: "hidden" });
    const dots = make("g");
    const under = make("rect", { class: "under", y: 0, height, visibility: "hidden" });
    layer.append(under, pick, hair, dots);
    plot.querySelector("svg").append(layer);

    const readout = make("div", { class: "readout", "aria-hidden": "true", hidden: "" });
    const feel = make("div", {
      class: "feel", tabindex: "0", role: "slider", "aria-label": figure.getAttribute("aria-label"),
      "aria-valuemin": 1, "aria-valuemax": rows.length, "aria-valuenow": rows.length, "aria-valuetext": rows.at(-1).head,
      "aria-orientation": "horizontal",
    });
    plot.append(feel, readout);

    let at = -1, anchor = -1, down = null, dragged = false;

    const nearest = (event) => {
      const box = plot.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * 100;
      let best = 0;
      rows.forEach((row, i) => { if (Math.abs(row.x - x) < Math.abs(rows[best].x - x)) best = i; });
      return best;
    };

    // In the order the eye meets them, from the top of the plot down.
    const lines = (row) => {
      let drawn = -1;
      const found = columns
        .map((column, i) => ({ ...column, value: row.cells[i], y: column.tone ? row.ys[++drawn] : undefined }))
        .filter((line) => line.value !== undefined && !line.said);
      const plain = found.filter((line) => !line.tone);
      const marked = found.filter((line) => line.tone);
      if (figure.classList.contains("bars-chart")) marked.reverse();
      else marked.sort((a, b) => (a.y ?? 1e9) - (b.y ?? 1e9));
      return [...marked, ...plain];
    };
    const half = rows.length > 1 ? (rows[1].x - rows[0].x) / 2 : 50;

    function show(i) {
      at = i;
      const row = rows[i];
      hair.setAttribute("x1", `${row.x}%`);
      hair.setAttribute("x2", `${row.x}%`);
      hair.setAttribute("visibility", bars ? "hidden" : "visible");
      if (bars) {
        under.setAttribute("x", `${row.x - half}%`);
        under.setAttribute("width", `${2 * half}%`);
        under.setAttribute("visibility", "visible");
      }
      dots.replaceChildren(...row.ys.flatMap((y, n) => (y === null ? [] : [make("circle", { class: `dot fill t${tones[n] ?? 1}`, cx: `${row.x}%`, cy: y, r: 4 })])));
      const list = make("dl");
      for (const line of lines(row)) {
        const name = make("dt");
        if (tones.length > 1 && new Set(tones).size > 1 && line.tone) name.append(make("i", { class: `swatch t${line.tone}` }));
        name.append(line.name);
        list.append(name, make("dd", {}, line.value));
      }
      readout.replaceChildren(make("b", {}, row.head), list);
      readout.hidden = false;
      // On the side that has room; where neither has, it stays inside.
      const width = plot.clientWidth, x = (row.x / 100) * width, own = readout.offsetWidth;
      const left = x > width / 2 ? x - own - 12 : x + 12;
      readout.style.left = `${Math.max(-24, Math.min(left, width - own + 24))}px`;
      feel.setAttribute("aria-valuenow", i + 1);
      feel.setAttribute("aria-valuetext", `${row.head}: ${lines(row).map((line) => `${line.name} ${line.value}`).join(", ")}`);
      feel.classList.toggle("opens", Boolean(row.href));
    }

    function hide() {
      at = -1;
      readout.hidden = true;
      hair.setAttribute("visibility", "hidden");
      under.setAttribute("visibility", "hidden");
      dots.replaceChildren();
    }

    function mark(from, to) {
      const [a, b] = [Math.min(from, to), Math.max(from, to)];
      const left = Math.max(0, rows[a].x - half), right = Math.min(100, rows[b].x + half);
      pick.setAttribute("x", `${left}%`);
      pick.setAttribute("width", `${right - left}%`);
      pick.setAttribute("visibility", "visible");
    }

    function unmark() {
      anchor = -1;
      down = null;
      pick.setAttribute("visibility", "hidden");
    }

    function address(from, to) {
      const [a, b] = [Math.min(from, to), Math.max(from, to)];
      const url = new URL(location.href);
      url.searchParams.set("period", "custom");
      url.searchParams.set("from", rows[a].from);
      url.searchParams.set("to", rows[b].to);
      for (const key of ["after", "before", "page"]) url.searchParams.delete(key);
      return url;
    }

    const open = (i, event) => {
      const href = rows[i]?.href;
      if (!href) return;
      if (event.ctrlKey || event.metaKey || event.button === 1) window.open(href, "_blank", "noopener");
      else location.assign(href);
    };

    feel.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      down = { x: event.clientX, row: nearest(event) };
      dragged = false;
      feel.setPointerCapture(event.pointerId);
    });
    feel.addEventListener("pointermove", (event) => {
      const i = nearest(event);
      if (i !== at) show(i);
      if (!down || !zoom) return;
      dragged = dragged || Math.abs(event.clientX - down.x) > 8;
      if (dragged) mark(down.row, i);
    });
    feel.addEventListener("pointerup", (event) => {
      const start = down;
      down = null;
      if (start && dragged && zoom) {
        const end = nearest(event);
        if (end !== start.row) location.assign(address(start.row, end));
        else unmark();
      }
    });
    feel.addEventListener("pointercancel", unmark);
    feel.addEventListener("pointerleave", () => { if (!down) { if (document.activeElement !== feel) hide(); unmark(); } });
    feel.addEventListener("click", (event) => { if (!dragged && (event.pointerType !== "touch" || at === nearest(event))) open(nearest(event), event); dragged = false; });
    feel.addEventListener("auxclick", (event) => { if (event.button === 1) open(nearest(event), event); });
    feel.addEventListener("focus", () => { if (at < 0 && feel.matches(":focus-visible")) show(rows.length - 1); });
    feel.addEventListener("blur", () => { hide(); unmark(); });
    feel.addEventListener("keydown", (event) => {
      const here = at < 0 ? rows.length - 1 : at;
      const leap = Math.max(1, Math.round(rows.length / 10));
      const to = { ArrowLeft: here - 1, ArrowRight: here + 1, ArrowDown: here - 1, ArrowUp: here + 1, PageDown: here - leap, PageUp: here + leap, Home: 0, End: rows.length - 1 }[event.key];
      if (to !== undefined) {
        const next = Math.max(0, Math.min(rows.length - 1, to));
        if (event.shiftKey && zoom) {
          if (anchor < 0) anchor = here;
          mark(anchor, next);
        } else unmark();
        show(next);
      } else if (event.key === "Enter") {
        if (anchor >= 0 && anchor !== here) location.assign(address(anchor, here));
        else open(here, event);
      } else if (event.key === "Escape") {
        if (anchor >= 0) unmark();
        else hide();
        return;
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  // ---- forms that filter a list: a choice is enough, the button is for those without this script ----

  function filters(form) {
    if (form.dataset.ready) return;
    form.dataset.ready = "1";
    // Empty fields stay out of the address.
    form.addEventListener("formdata", (event) => {
      for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
    });
    if (form.hasAttribute("hx-get")) return;
    form.addEventListener("change", (event) => { if (event.target.matches("select, input[type=date], input[type=checkbox]")) form.requestSubmit(); });
  }

  function ready(root) {
    themes(root);
    zones(root);
    for (const node of all(".toast[data-toast]", root)) toast.arm(node);
    for (const node of all("[data-chart]", root)) chart(node);
    for (const node of all("form.filters", root)) filters(node);
  }

  ready(document);
})();
