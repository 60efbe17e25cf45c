// A chart as a picture that stands alone: copied as an image, or saved as SVG, PNG or its figures as CSV.
// What is on the screen is written down as SVG: colours as they are now, every text where it stands.
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const PAD = 16, HEAD = 52, FONT = "Helvetica, Arial, sans-serif";
  const GEOMETRY = ["x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "width", "height", "rx", "r", "cx", "cy", "d", "transform", "viewBox", "preserveAspectRatio"];
  const SHAPE = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linejoin", "stroke-linecap", "opacity", "vector-effect", "shape-rendering"];
  const TEXT = ["fill", "stroke", "stroke-width", "stroke-linejoin", "paint-order", "font-size", "font-weight", "text-anchor", "opacity"];
  const LEFT_OUT = "title, .hit, .hair, .dot, .under, .pick, .feel, .readout, .sr, details, script";

  const make = (tag, attributes = {}, text = "") => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text) node.textContent = text;
    return node;
  };
  const round = (value) => Math.round(value * 100) / 100;
  const seen = (style) => style.display !== "none" && style.visibility !== "hidden";

  // An SVG's node with what the style sheet says of it as attributes; null for what is not to be seen.
  function drawn(node) {
    const style = getComputedStyle(node);
    if (node.matches(LEFT_OUT) || !seen(style)) return null;
    const tag = node.tagName === "a" ? "g" : node.tagName;
    const copy = make(tag);
    for (const name of GEOMETRY) if (node.hasAttribute(name)) copy.setAttribute(name, node.getAttribute(name));
    if (tag === "text") {
      for (const name of TEXT) copy.setAttribute(name, style.getPropertyValue(name));
      copy.textContent = node.textContent;
    } else {
      if (!["g", "svg"].includes(tag)) for (const name of SHAPE) copy.setAttribute(name, style.getPropertyValue(name).replaceAll('"', ""));
      for (const child of node.children) { const part = drawn(child); if (part) copy.append(part); }
    }
    return copy;
  }

  // Everything below an HTML node, each at its place on the screen.
  function place(node, into, origin) {
    const style = getComputedStyle(node);
    if (node.matches(LEFT_OUT) || !seen(style)) return;
    const box = node.getBoundingClientRect();
    if (node.tagName === "svg") {
      if (!box.width || !box.height) return;
      const copy = drawn(node);
      if (!copy) return;
      for (const [name, value] of Object.entries({ x: box.x - origin.x, y: box.y - origin.y, width: box.width, height: box.height })) copy.setAttribute(name, round(value));
      copy.setAttribute("overflow", "visible");
      into.append(copy);
      return;
    }
    // Swatches, and the cells of a heat map: a box of one colour.
    if (box.width && box.height && !/^(transparent|rgba\(0, 0, 0, 0\))$/.test(style.backgroundColor))
      into.append(make("rect", { x: round(box.x - origin.x), y: round(box.y - origin.y), width: round(box.width), height: round(box.height), rx: parseFloat(style.borderTopLeftRadius) || 0, fill: style.backgroundColor }));
    for (const child of node.childNodes) {
      if (child.nodeType === Node.ELEMENT_NODE) place(child, into, origin);
      if (child.nodeType !== Node.TEXT_NODE || !child.data.trim()) continue;
      const range = document.createRange();
      range.selectNodeContents(child);
      const line = range.getClientRects()[0];
      if (!line) continue;
      into.append(make("text", { x: round(line.x - origin.x), y: round(line.y - origin.y + line.height * 0.76), fill: style.color, "font-size": style.fontSize, "font-weight": style.fontWeight }, child.data.trim()));
    }
  }

  function wrapped(text, width, size) {
    const lines = [""];
    for (const word of text.split(/\s+/)) {
      if ((lines.at(-1) + word).length * size * 0.52 > width && lines.at(-1)) lines.push("");
      lines[lines.length - 1] += (lines.at(-1) ? " " : "") + word;
    }
    return lines;
  }

  function picture(chart) {
    const names = namesOf(chart);
    const box = chart.getBoundingClientRect();
    const below = names ? names.getBoundingClientRect().height : 0;
    const ink = getComputedStyle(document.body).color;
    const soft = getComputedStyle(chart.closest(".panel")?.querySelector("header .sub") || document.body).color;
    const paper = getComputedStyle(chart.closest(".panel") || document.body).backgroundColor;
    const width = Math.ceil(box.width) + 2 * PAD;
    const said = wrapped(chart.dataset.label || chart.getAttribute("aria-label") || "", width - 2 * PAD, 12);
    const head = HEAD + (said.length - 1) * 16;
    const height = Math.ceil(box.height + below) + head + PAD;
    const root = make("svg", { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT, "font-size": 12, fill: "none" });
    root.append(make("title", {}, `${title(chart)}. ${said.join(" ")}`));
    const patterns = make("defs");
    for (const pattern of document.querySelectorAll("pattern[id], linearGradient[id]")) {
      const copy = pattern.cloneNode(false);
      for (const part of pattern.children) {
        const piece = part.cloneNode(false);
        const style = getComputedStyle(part);
        piece.removeAttribute("class");
        for (const name of part.tagName === "stop" ? ["stop-color", "stop-opacity"] : ["fill", "fill-opacity"]) piece.setAttribute(name, style.getPropertyValue(name));
        copy.append(piece);
      }
      patterns.append(copy);
    }
    root.append(patterns, make("rect", { width, height, fill: paper }));
    root.append(make("text", { x: PAD, y: PAD + 10, fill: ink, "font-size": 14, "font-weight": 600 }, title(chart)));
    said.forEach((line, i) => root.append(make("text", { x: PAD, y: PAD + 28 + 16 * i, fill: soft }, line)));
    const body = make("g", { transform: `translate(${PAD} ${head})` });
    root.append(body);
    place(chart, body, box);
    if (names) place(names, body, box);
    return { text: new XMLSerializer().serializeToString(root), width, height };
  }

  const title = (chart) => (chart.closest(".panel")?.querySelector("h2")?.firstChild?.textContent || document.title).trim();
  const fileName = (chart, ext) => `${title(chart).toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "chart"}.${ext}`;

  async function raster(chart) {
    const { text, width, height } = picture(chart);
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width * 2, height * 2];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("no image"))), "image/png"));
  }

  function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // The figures behind, as the page says them; a cell that a spreadsheet would take for a formula gets an apostrophe.
  function figures(chart) {
    const table = behind(chart)?.querySelector("table");
    if (!table) return "";
    const cell = (node) => {
      const text = node.textContent.replace(/\s+/g, " ").trim();
      const safe = /^[=+@\t]|^-(?![\d.])/.test(text) ? `'${text}` : text;
      return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    return [...table.rows].map((row) => [...row.cells].map(cell).join(",")).join("\r\n") + "\r\n";
  }

  const namesOf = (chart) => (chart.nextElementSibling?.matches(".names") ? chart.nextElementSibling : null);
  const behind = (chart) => {
    let next = (namesOf(chart) || chart).nextElementSibling;
    if (next?.matches(".copy-of")) next = next.nextElementSibling;
    return next?.matches("details.behind") ? next : null;
  };

  const ACTS = {
    "Copy as image": async (chart) => {
      try {
        await navigator.clipboard.write([new ClipboardItem({ "image/png": raster(chart) })]);
        return "Copied.";
      } catch {
        save(await raster(chart), fileName(chart, "png"));
        return "This browser lets no page copy images: it was saved as a file instead.";
      }
    },
    "Save as SVG": (chart) => save(new Blob([picture(chart).text], { type: "image/svg+xml" }), fileName(chart, "svg")),
    "Save as PNG": async (chart) => save(await raster(chart), fileName(chart, "png")),
    "Save figures as CSV": (chart) => save(new Blob([figures(chart)], { type: "text/csv" }), fileName(chart, "csv")),
  };

  function arm(chart) {
    if (chart.dataset.copies || !chart.closest(".panel")) return;
    chart.dataset.copies = "1";
    const menu = document.createElement("details");
    menu.className = "menu copy-of";
    const summary = document.createElement("summary");
    summary.textContent = "Copy";
    summary.setAttribute("aria-label", `Copy or save: ${title(chart)}`);
    const list = document.createElement("div");
    list.className = "pop-menu";
    for (const [name, act] of Object.entries(ACTS)) {
      if (name.includes("CSV") && !behind(chart)) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "row";
      button.textContent = name;
      button.addEventListener("click", async () => {
        menu.open = false;
        summary.focus();
        const said = await act(chart);
        if (said) document.dispatchEvent(new CustomEvent("sigma:toast", { detail: said }));
      });
      list.append(button);
    }
    menu.append(summary, list);
    const acts = chart.closest(".panel").querySelector(":scope > header .acts");
    if (acts && !behind(chart)) acts.append(menu);
    else (namesOf(chart) || chart).after(menu);
  }

  const ready = (root) => {
    for (const chart of root.querySelectorAll("figure.chart, figure.gantt, figure.heat, ul.hbars, .funnel")) arm(chart);
  };
  document.addEventListener("htmx:load", (event) => ready(event.detail.elt));
  ready(document);
})();
