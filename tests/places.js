// A place on every kind of mark of a chart where a pointer meets it, with the words that vega holds for it. Lines are left
// out: they answer within half their width of a value, and no hand is as steady as that.
(chart) => {
  chart.scrollIntoView({ block: "center" });
  const places = new Map();
  for (const mark of chart.querySelectorAll(".role-mark:not(.mark-line) > *")) {
    const says = mark.__data__?.tooltip;
    if (!says || places.has(mark.parentElement)) continue;
    const { left, right, top, bottom } = mark.getBoundingClientRect();
    const place = { x: (left + right) / 2, y: (top + bottom) / 2, kind: mark.parentElement.classList[0], says };
    if (document.elementFromPoint(place.x, place.y) === mark) places.set(mark.parentElement, place);
  }
  return [...places.values()];
}
