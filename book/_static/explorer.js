// An explorer of claims or labs (ktreview.explorer): shows the rows that fit all controls, and keeps what the
// controls say in the address, so that a view can be shared. Without this script all rows are shown.
document.addEventListener("DOMContentLoaded", () => {
  const explorer = document.querySelector(".kt-explorer");
  const form = explorer?.querySelector("form");
  if (!form) return;
  const status = explorer.querySelector("[role=status]");
  const rows = [...explorer.querySelectorAll("tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const controls = [...form.elements].filter((control) => control.name);
  const search = form.elements.words;
  let waiting;

  function show() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = controls.filter((control) => control !== search && control.value);
    let shown = 0;
    rows.forEach((row, i) => {
      const fits =
        words.every((word) => texts[i].includes(word)) &&
        chosen.every(({ name, value }) => row.dataset[name].split("; ").includes(value));
      row.hidden = !fits;
      shown += fits;
    });
    status.textContent = `${shown} of ${rows.length} ${explorer.dataset.noun ?? "rows"} shown.${shown ? "" : " None fits all filters."}`;
  }

  function keep() {
    const address = new URL(location);
    for (const { name, value } of controls) {
      if (value.trim()) address.searchParams.set(name, value.trim());
      else address.searchParams.delete(name);
    }
    history.replaceState(history.state, "", address);
  }

  // Typing is followed after a pause, so that the count is not read out letter by letter.
  function changed(event) {
    clearTimeout(waiting);
    waiting = setTimeout(() => (show(), keep()), event.target === search ? 200 : 0);
  }

  for (const [name, value] of new URLSearchParams(location.search)) {
    const control = controls.find((one) => one.name === name);
    if (!control) continue;
    control.value = value;
    if (control.selectedIndex < 0) control.selectedIndex = 0; // a value that no row has
  }
  form.addEventListener("input", changed);
  form.addEventListener("reset", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
});
