// The controls that the address speaks for: it is written at once and read whenever it counts, so that no click has to
// wait for the answer to the one before. dcc.Location tells the server.

const DAY = 86400000;
const iso = (time) => new Date(time).toISOString().slice(0, 10);
const onPage = (path) => (location.pathname.replace(/\/$/, "") || "/") === path;
const setProps = (id, props) => window.dash_clientside.set_props(id, props);

function goTo(search) {
  if (search !== location.search) {
    history.pushState({}, "", location.pathname + search);
    window.dispatchEvent(new PopStateEvent("popstate"));
  }
}

// Corrects the address without a step for Back.
function correct(search) {
  if (search !== location.search) {
    history.replaceState({}, "", location.pathname + search);
  }
}

// A day in milliseconds; NaN for what isn't one, such as 2015-02-30.
function dayOf(text) {
  const time = Date.parse(text);
  return !Number.isNaN(time) && iso(time) === text ? time : NaN;
}

let limits = null; // of the data: their first and last day, and the first day of the newest range

// The range that the address names, cut to the data; null for one that can't be shown. The same rules as in date_range.py.
function askedRange() {
  const query = new URLSearchParams(location.search);
  const [first, last] = ["from", "to"].map((name) => query.getAll(name).filter(Boolean).at(-1));
  if (!first && !last) {
    return { from: limits.newest, to: limits.max };
  }
  const from = first ? dayOf(first) : limits.min;
  const to = last ? dayOf(last) : limits.max;
  const valid = from <= to && from <= limits.max && to >= limits.min;
  const cut = { from: Math.max(from, limits.min), to: Math.min(to, limits.max) };
  return valid ? { ...cut, isCut: cut.from > from || cut.to < to } : null;
}

// Lets the controls show the range of the address, and says some words below them.
function showRange(words) {
  if (!limits || !onPage("/predictions") || !document.getElementById("first-day")) {
    return;
  }
  const range = askedRange();
  const [minDate, maxDate] = [iso(limits.min), iso(limits.max)];
  if (range && range.isCut) {
    correct(searchOf(range.from, range.to));
    words = `The data reach from ${minDate} to ${maxDate}; the days before and after are left out.`;
  }
  setProps("first-day", { value: range && iso(range.from), minDate, maxDate, disabled: false });
  setProps("last-day", { value: range && iso(range.to), minDate, maxDate, disabled: false });
  for (const days of [7, 30, 365]) {
    const length = range && (range.to - range.from) / DAY + 1;
    setProps(`quick-${days}`, { "aria-pressed": String(days === length), disabled: false });
  }
  setProps("earlier", { disabled: !range || range.from <= limits.min });
  setProps("later", { disabled: !range || range.to >= limits.max });
  setProps("newest", { disabled: false });
  if (words !== undefined) {
    setProps("range-words", { children: words });
  }
}

const searchOf = (from, to) => `?from=${iso(from)}&to=${iso(to)}`;

// What a click on one of the buttons of the range does.
function moveRange(id) {
  const { min, max } = limits;
  const { from, to } = askedRange() || { from: limits.newest, to: max };
  const length = to - from + DAY;
  if (id === "newest") {
    goTo("");
  } else if (id === "earlier" || id === "later") {
    const by = id === "earlier" ? -Math.min(length, from - min) : Math.min(length, max - to);
    goTo(searchOf(from + by, to + by));
  } else {
    goTo(searchOf(Math.max(min, to - (Number(id.slice(6)) - 1) * DAY), to));
  }
}

// Takes what was typed or clicked in a field of the range, or says why not; the other end goes with it.
function takeDay({ id, value }) {
  const { min, max, newest } = limits;
  const { from, to } = askedRange() || { from: newest, to: max };
  const written = value.trim().replace(/^(\d\d?)\.(\d\d?)\.(\d{4})$/, (_, day, month, year) =>
    [year, month.padStart(2, "0"), day.padStart(2, "0")].join("-"));
  const day = dayOf(written);
  let words = "";
  if (Number.isNaN(day)) {
    words = `Expected a day such as ${iso(max)}, found '${value}'.`;
  } else if (day < min || day > max) {
    words = `The data have no ${written}; they reach from ${iso(min)} to ${iso(max)}.`;
  } else if (id === "first-day") {
    goTo(searchOf(day, day > to ? Math.min(max, day + to - from) : to));
  } else {
    goTo(searchOf(day < from ? Math.max(min, day - to + from) : from, day));
  }
  // The field may have read something else: when it is done, it shows the day of the address again.
  setTimeout(() => showRange(words));
}

// The days of the year that the overview shows.
const WHOLE_YEAR = [1, 366];

function askedDays() {
  const [, first, last] = (/^\?days=(\d+)-(\d+)$/.exec(location.search) || []).map(Number);
  return first >= 1 && last <= 366 && last - first >= 6 ? [first, last] : WHOLE_YEAR;
}

// What the figures of the next days show.
function askedMode() {
  correct(location.search === "?show=shape" ? "?show=shape" : "");
  return location.search ? "shape" : "power";
}

const SETTLED = 300; // ms after which a field that was left has written its own day, which the address may overrule
let edited = false; // whether a field of the range has a day that wasn't taken yet

function takeEdited({ target }) {
  if (edited && limits && target.matches("#first-day, #last-day")) {
    edited = false;
    takeDay(target);
  }
}

document.addEventListener("input", ({ target }) => (edited ||= target.matches("#first-day, #last-day")));
document.addEventListener("keydown", (event) => event.key === "Enter" && takeEdited(event), true);
document.addEventListener("focusout", takeEdited, true);
document.addEventListener("click", ({ target }) => {
  const button = target.closest(".controls button[id]");
  if (button && limits) {
    moveRange(button.id);
  } else if (onPage("/model") && target.closest("[data-combobox-option]")) {
    goTo(`?beside=${target.closest("[data-combobox-option]").getAttribute("value")}`);
  } else if (target.closest(".mantine-DateInput-day")) {
    edited = true; // and complete: a typed day is taken when its field is left
    setTimeout(() => document.activeElement.blur());
  }
});
document.addEventListener("change", ({ target }) =>
  target.closest("#next-days-mode") && goTo(target.value === "shape" ? "?show=shape" : ""));
// After a choice, Back, Forward (popstate) or a dcc.Link.
for (const event of ["popstate", "_dashprivate_pushstate"]) {
  window.addEventListener(event, () => {
    edited = false;
    document.querySelectorAll("#first-day:focus, #last-day:focus").forEach((field) => field.blur()); // its calendar closes
    showRange("");
    setTimeout(showRange, SETTLED);
    if (onPage("/") && document.getElementById("days")) {
      setProps("days", { value: askedDays() });
    } else if (onPage("/next-days") && document.getElementById("next-days-mode")) {
      setProps("next-days-mode", { value: askedMode() });
    }
  });
}

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  range: {
    // Takes the limits of the data from the server's answer.
    show(days) {
      if (days) {
        limits = Object.fromEntries(Object.entries(days).map(([name, day]) => [name, Date.parse(day)]));
        showRange();
      }
    },
  },
  days: {
    read: askedDays,
    write(days) {
      if (onPage("/")) {
        correct(String(days) === String(WHOLE_YEAR) ? "" : `?days=${days.join("-")}`);
      }
    },
  },
  nextDays: { read: askedMode },
});
