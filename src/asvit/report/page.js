"use strict";
// Charts follow the page's colour scheme, also while it is open.
const dark = matchMedia("(prefers-color-scheme: dark)");
const themes = JSON.parse(document.getElementById("themes").textContent);
let drawn = [];

async function draw() {
  drawn.forEach((chart) => chart.finalize());
  const theme = dark.matches ? "dark" : "light";
  drawn = await Promise.all(Array.from(document.querySelectorAll(".chart"), (place) =>
    vegaEmbed(place, JSON.parse(place.nextElementSibling.textContent), {
      mode: "vega-lite", renderer: "svg", actions: false, config: themes[theme], tooltip: { theme },
    })));
}

draw();
dark.addEventListener("change", draw);

for (const button of document.querySelectorAll(".command button")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
  });
}
