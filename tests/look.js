// What a page shows at this moment: sizes of its charts, and in words what is amiss. tests/browser.py evaluates it.
() => {
  const svgs = [...document.querySelectorAll("svg.marks")];
  const name = (svg) => svg.closest("[id]")?.id || `chart ${svgs.indexOf(svg)}`;

  const path = (element) => {
    const step = (e) => e.localName + (e.id ? `#${e.id}` : [...e.classList].map((c) => `.${c}`).join(""));
    return [element.parentElement, element].filter(Boolean).map(step).join(" > ");
  };

  // Elements past the right edge, without those whose box scrolls or cuts and those that only hold another such one.
  const wide = () => {
    const page = document.documentElement;
    if (page.scrollWidth <= innerWidth) return [];
    const out = (e) => e.getBoundingClientRect().right > innerWidth + 0.5;
    const held = (e) => {
      for (let box = e.parentElement; box && box !== document.body; box = box.parentElement)
        if (getComputedStyle(box).overflowX !== "visible") return true;
      return false;
    };
    const found = [...document.body.querySelectorAll("*")].filter((e) => out(e) && !held(e) && ![...e.children].some(out));
    const right = (e) => Math.round(e.getBoundingClientRect().right);
    return [`${page.scrollWidth} wide: ${found.map((e) => `${path(e)} to ${right(e)}`).join(", ")}`];
  };

  // A line's box without the room above and below its letters.
  const letters = (text) => {
    const { left, right, top, bottom } = text.getBoundingClientRect();
    const room = 0.15 * Math.min(bottom - top, right - left);
    return { left: left + 0.5, right: right - 0.5, top: top + room, bottom: bottom - room };
  };
  const shown = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const texts = (svg) => [...svg.querySelectorAll("text")].filter((text) => text.textContent.trim() && shown(text));

  const overlapping = (svg) => {
    const boxes = texts(svg).map((text) => [text.textContent, letters(text)]);
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    return boxes.flatMap(([text, box], i) =>
      boxes.slice(i + 1).filter(([, other]) => meet(box, other)).map(([other]) => `${name(svg)}: "${text}" on "${other}"`));
  };

  const cut = (svg) => {
    const paper = svg.getBoundingClientRect();
    const inside = (box) => box.left >= paper.left && box.right <= paper.right && box.top >= paper.top && box.bottom <= paper.bottom;
    return texts(svg).filter((text) => !inside(letters(text))).map((text) => `${name(svg)}: "${text.textContent}"`);
  };

  const drawn = (svg) => [...svg.querySelectorAll(".role-mark > *")].filter((mark) => {
    const { width, height } = mark.getBoundingClientRect();
    return width + height > 0;
  }).length;

  return {
    marks: Object.fromEntries(svgs.map((svg) => [name(svg), drawn(svg)])),
    wide: wide(),
    overlapping: svgs.flatMap(overlapping),
    cut: svgs.flatMap(cut),
  };
}
