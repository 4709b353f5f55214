// Boxes that scroll sideways can be reached by keyboard, but only while there is something to scroll.
const scrollers = ".kt-scroll, .kt-math, .kt-table, .cell_output .output, .pst-scrollable-table-container";

function reach(box) {
  if (box.scrollWidth > box.clientWidth + 1) {
    box.tabIndex = 0;
  } else if (!box.classList.contains("kt-table")) {
    box.removeAttribute("tabindex");
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const observer = new ResizeObserver((entries) => entries.forEach((entry) => reach(entry.target)));
  document.querySelectorAll(scrollers).forEach((box) => observer.observe(box));
});

// A page opened as a file may not read other files: search without excerpts there.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

// Paper is white.
matchMedia("print").addEventListener("change", (print) => {
  const root = document.documentElement.dataset;
  if (print.matches) {
    root.shown = root.theme;
    root.theme = "light";
  } else if (root.shown) {
    root.theme = root.shown;
    delete root.shown;
  }
});
