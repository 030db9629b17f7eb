// What the shell does in the browser: pages with their scripts, then title, focus and the marked link.

const load = (src) => new Promise((resolve, reject) => {
  document.head.append(Object.assign(document.createElement("script"), { src, onload: resolve, onerror: reject }));
});

window.dash_clientside = Object.assign({}, window.dash_clientside, {
  shell: {
    // Shows a page that the server has made; the grid's script is loaded before the first page with a grid.
    async show(page) {
      if (!window.dash_ag_grid && JSON.stringify(page).includes("dash_ag_grid")) {
        await load("/_dash-component-suites/dash_ag_grid/dash_ag_grid.min.js");
      }
      return page;
    },
    // After a change of page: readers of the screen hear its heading, and the link to it is marked.
    arrived(page, path) {
      requestAnimationFrame(() => {
        const heading = document.querySelector("main h1");
        if (heading) {
          document.title = `${heading.textContent} · ${document.getElementById("brand").textContent}`;
          if (window.arrivedAt && window.arrivedAt !== path) {
            heading.focus({ preventScroll: true });
            window.scrollTo(0, 0);
          }
          window.arrivedAt = path;
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
});

// Says so when the dashboard itself doesn't answer. When it does again, everything is asked for anew.
let isAway = false;

async function lookAfterDashboard() {
  const answer = await fetch("/health", { cache: "no-store", signal: AbortSignal.timeout(4000) }).catch(() => null);
  const set = window.dash_clientside.set_props;
  if (!(answer && answer.ok)) {
    isAway = true;
    const words = "The dashboard does not answer: it was stopped, or the network is down. The page catches up by itself.";
    set("problem", { children: words });
  } else if (isAway) {
    isAway = false;
    set("view-key", { data: null });
    set("registry-key", { data: null });
    set("url", { pathname: location.pathname, search: location.search });
  }
}

setInterval(() => document.getElementById("problem") && lookAfterDashboard(), 1000);
