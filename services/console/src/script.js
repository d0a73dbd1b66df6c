// The console's script: theme, live numbers. Pages work without it.
"use strict";
(() => {
  const root = document.documentElement;

  const toggle = document.getElementById("theme");
  if (toggle) {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
    const name = () => {
      toggle.textContent = dark() ? "Light" : "Dark";
      toggle.title = "Change to the " + (dark() ? "light" : "dark") + " theme";
    };
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      document.cookie = "theme=" + root.dataset.theme + "; path=/; max-age=31536000; samesite=lax";
      name();
    });
    system.addEventListener("change", name);
    name();
  }

  // The open menu of a narrow page closes when somebody clicks beside it.
  const menu = document.querySelector("details.menu");
  if (menu) {
    document.addEventListener("click", (event) => {
      if (menu.open && !menu.contains(event.target)) menu.open = false;
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && menu.open) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    });
  }

  const live = document.getElementById("live");
  if (live && "EventSource" in window) {
    const state = document.getElementById("live-state");
    const pause = document.getElementById("live-pause");
    let source = null;
    let paused = false;
    const say = (text) => {
      if (state.textContent !== text) state.textContent = text;
    };
    const open = () => {
      source = new EventSource(live.dataset.events);
      source.onmessage = (event) => {
        live.innerHTML = event.data;
        say("Updated every second");
      };
      source.onerror = () => say("Connection lost, trying again");
    };
    const close = () => {
      if (source) source.close();
      source = null;
    };
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.textContent = paused ? "Go on" : "Pause";
      if (paused) {
        close();
        say("Paused");
      } else {
        open();
      }
    });
    // A page in the background reads nothing.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) close();
      else if (!paused && !source) open();
    });
    addEventListener("pagehide", close);
    open();
  }
})();
