"use strict";
// Charts follow the page's colour scheme, also while it is open.
const dark = matchMedia("(prefers-color-scheme: dark)");
const [themes, symbols] = ["themes", "symbols"].map((id) => JSON.parse(document.getElementById(id).textContent));
const written = new RegExp(`(${symbols.written.map((text) => text.replace(/[\^]/g, "\\$&")).join("|")})`);
const marks = /(?=[\^_])/;
let drawn = [];

async function draw() {
  drawn.forEach((chart) => chart.finalize());
  const theme = dark.matches ? "dark" : "light";
  drawn = await Promise.all(Array.from(document.querySelectorAll(".chart"), async (place) => {
    const chart = await vegaEmbed(place, JSON.parse(place.nextElementSibling.textContent), {
      mode: "vega-lite", renderer: "svg", actions: false, config: themes[theme], tooltip: { theme, sanitize },
    });
    await chart.view.tooltip(inWindow(chart.view.tooltip())).runAsync();
    return chart;
  }));
}

// A tooltip for which there is no room on either side of the pointer moves as far as the edge of the window.
function inWindow(show) {
  return (...pointed) => {
    show(...pointed);
    const box = document.getElementById("vg-tooltip-element");
    const { left, width } = box.getBoundingClientRect();
    box.style.left = `${Math.max(4, Math.min(left, document.documentElement.clientWidth - width - 4))}px`;
  };
}

// A chart's texts are plain: symbols of measures get their sub- and superscripts where they are drawn, and drawn again.
function typeset(chart) {
  const texts = document.createTreeWalker(chart, NodeFilter.SHOW_TEXT, (text) =>
    written.test(text.data) ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_REJECT);
  const found = [];
  while (texts.nextNode()) found.push(texts.currentNode);
  for (const text of found) {
    text.replaceWith(...text.data.split(written).flatMap((part, i) => i % 2 ? raised(part, text.parentNode) : [part]));
  }
}

function raised(symbol, parent) {
  const [base, ...marked] = symbol.split(marks);
  const piece = (text, dy, size) => {
    const element = document.createElementNS(parent.namespaceURI, "tspan");
    element.textContent = text;
    element.setAttribute("dy", `${dy}em`);
    element.setAttribute("font-size", `${100 * size}%`);
    return element;
  };
  let away = 0;
  const pieces = marked.map((part) => {
    const place = part[0] === "^" ? symbols.raised : symbols.lowered;
    const element = piece(part.slice(1), place - away, symbols.smaller);
    away = place;
    return element;
  });
  return [base, ...pieces, piece("\u200b", -away * symbols.smaller, 1)];
}

function sanitize(value) {
  const text = document.createElement("span");
  text.textContent = String(value);
  return text.innerHTML.split(written).map((part, i) => {
    if (i % 2 === 0) return part;
    const [base, ...marked] = part.split(marks);
    return base + marked.map((mark) => mark[0] === "^" ? `<sup>${mark.slice(1)}</sup>` : `<sub>${mark.slice(1)}</sub>`)
      .join("");
  }).join("");
}

for (const chart of document.querySelectorAll(".chart")) {
  new MutationObserver(() => typeset(chart)).observe(chart, { childList: true, characterData: true, subtree: true });
}
draw();
dark.addEventListener("change", draw);

for (const button of document.querySelectorAll(".command button")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
  });
}
