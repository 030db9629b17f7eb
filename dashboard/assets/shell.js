// What the shell does in the browser: the title, the focus and the marked link after a change of page; the address.

const DAY = 86400000;
const iso = (time) => new Date(time).toISOString().slice(0, 10);

// Back and forward take back what was chosen and not answered yet.
window.addEventListener("popstate", () => {
  window.rangeChosen = null;
});

// A date field tells of its day when it is left, so that a half-typed one is no choice. A day that is clicked is one.
document.addEventListener("click", (event) => {
  if (event.target.closest(".mantine-DateInput-day")) {
    setTimeout(() => {
      const field = document.activeElement;
      if (field && field.matches("#first-day, #last-day")) {
        field.blur();
      }
    });
  }
});

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  shell: {
    // Puts the version that somebody chose to compare with into the address.
    beside(value, shown) {
      if (value && shown && value !== shown) {
        window.dash_clientside.set_props("url", { search: `?beside=${value}` });
      }
      return value;
    },
    // After a change of page: readers of the screen hear its heading, and the link to it is marked.
    arrived(page, path) {
      requestAnimationFrame(() => {
        const heading = document.querySelector("main h1");
        if (heading) {
          document.title = `${heading.textContent} · Wind and solar power in Germany`;
          if (window.arrivedBefore) {
            heading.focus({ preventScroll: true });
            window.scrollTo(0, 0);
          }
          window.arrivedBefore = true;
        }
        document.querySelectorAll("nav a").forEach((link) => {
          if (link.pathname === path) {
            link.setAttribute("aria-current", "page");
          } else {
            link.removeAttribute("aria-current");
          }
        });
      });
      return window.dash_clientside.no_update;
    },
  },
  range: {
    // Shows the range that the server has found in the address in the controls.
    show(range) {
      const chosen = window.rangeChosen;
      if (!range || (chosen && (chosen.first !== range.first || chosen.last !== range.last))) {
        return; // the answer to a later choice is on its way
      }
      window.rangeChosen = null;
      window.rangeShown = range;
      const set = window.dash_clientside.set_props;
      set("first-day", { value: range.first, minDate: range.min, maxDate: range.max });
      set("last-day", { value: range.last, minDate: range.min, maxDate: range.max });
      for (const days of [7, 30, 365]) {
        set(`quick-${days}`, { "aria-pressed": String(days === range.days) });
      }
      set("earlier", { disabled: range.first <= range.min });
      set("later", { disabled: range.last >= range.max });
    },
    // Puts the range that somebody chose into the address.
    choose() {
      const { no_update, callback_context, set_props } = window.dash_clientside;
      const shown = window.rangeShown;
      const [event] = callback_context.triggered;
      if (!shown || !event || !event.value) {
        return no_update;
      }
      const id = event.prop_id.split(".")[0];
      if (id === "newest") {
        window.rangeChosen = null;
        set_props("url", { search: "" });
        return no_update;
      }
      // A second choice may come before the answer to the first one.
      const now = window.rangeChosen || shown;
      const [min, max] = [Date.parse(shown.min), Date.parse(shown.max)];
      let [from, to] = [Date.parse(now.first), Date.parse(now.last)];
      const length = to - from + DAY;
      if (id.startsWith("quick-")) {
        from = Math.max(min, to - (Number(id.slice(6)) - 1) * DAY);
      } else if (id === "earlier" || id === "later") {
        const by = id === "earlier" ? -Math.min(length, from - min) : Math.min(length, max - to);
        [from, to] = [from + by, to + by];
      } else if (id === "first-day") {
        if (event.value === shown.first) return no_update; // it was set above
        from = Date.parse(event.value);
        to = from > to ? Math.min(max, from + length - DAY) : to; // the other end goes with it
      } else {
        if (event.value === shown.last) return no_update;
        to = Date.parse(event.value);
        from = from > to ? Math.max(min, to - length + DAY) : from;
      }
      if (iso(from) !== now.first || iso(to) !== now.last) {
        window.rangeChosen = { first: iso(from), last: iso(to) };
        set_props("url", { search: `?from=${iso(from)}&to=${iso(to)}` });
      }
      return no_update;
    },
  },
  days: {
    // The days of the year on the overview: the address and the slider say the same.
    follow(search, days) {
      const { no_update, callback_context, set_props } = window.dash_clientside;
      const whole = [1, 366];
      const match = /[?&]days=(\d{1,3})-(\d{1,3})/.exec(search || "");
      const asked = match ? [Number(match[1]), Number(match[2])] : whole;
      const valid = asked[0] >= 1 && asked[1] <= 366 && asked[1] - asked[0] >= 6 ? asked : whole;
      const moved = callback_context.triggered.length === 1 && callback_context.triggered[0].prop_id === "days.value";
      clearTimeout(window.daysTimer);
      if (!moved) {
        // An address that was written here is no news, and the slider may have moved on.
        return search === window.daysWritten ? no_update : valid;
      }
      if (String(days) !== String(valid)) {
        window.daysTimer = setTimeout(() => {
          window.daysWritten = String(days) === String(whole) ? "" : `?days=${days[0]}-${days[1]}`;
          set_props("url", { search: window.daysWritten });
        }, 250);
      }
      return no_update;
    },
  },
});
