// The ledger of statements: searched and filtered on the page. Without this script all of it is there.
(() => {
  "use strict";
  const FILTERS = [["verdict", "Verdict"], ["source", "Source"], ["chapter", "Chapter"], ["computed", "Recomputed"]];

  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  function mount() {
    const ledgers = [...document.querySelectorAll("[data-ledger]")];
    if (!ledgers.length) return;
    const claims = ledgers.flatMap((ledger) => [...ledger.children]).map((element) => ({ element, text: element.textContent.toLowerCase() }));
    const asked = new URLSearchParams(location.search);
    const search = make("input", { type: "search", id: "ledger-search", autocomplete: "off" });
    search.value = asked.get("search") || "";
    const selects = FILTERS.map(([name, label]) => {
      const values = [...new Set(claims.map(({ element }) => element.dataset[name]))].sort();
      const select = make("select", { id: `ledger-${name}` }, make("option", { value: "" }, "all"), ...values.map((value) => make("option", { value }, value.replace(/_/g, " "))));
      if (values.includes(asked.get(name))) select.value = asked.get(name);
      return { name, label, select };
    });
    const count = make("p", { class: "ledger-count", role: "status" });

    function show() {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const { element, text } of claims) {
        element.hidden = !words.every((word) => text.includes(word)) || selects.some(({ name, select }) => select.value && element.dataset[name] !== select.value);
        shown += !element.hidden;
      }
      count.textContent = `${shown} of ${claims.length} statements`;
      const query = new URLSearchParams();
      if (search.value) query.set("search", search.value);
      for (const { name, select } of selects) if (select.value) query.set(name, select.value);
      history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}${location.hash}`);
    }

    const field = (label, control) => make("div", {}, make("label", { for: control.id }, label), control);
    const form = make("form", { class: "ledger-filters", role: "search", "aria-label": "Statements" }, field("Words", search), ...selects.map(({ label, select }) => field(label, select)));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", show);
    ledgers[0].closest("section").before(form, count);
    show();
    document.documentElement.dataset.ledger = "ready";
    if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", mount);
  else mount();
})();
