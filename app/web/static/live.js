// Keeps a page current: counts times on, puts changed parts in by their id, counts again who would be told.
// Everything on the pages works without it.
"use strict";
(() => {
  // The server's clock counts, not this machine's.
  const ahead = Date.parse(document.documentElement.dataset.now) - Date.now();

  function span(seconds) {
    if (seconds < 90) return seconds + " s";
    if (seconds < 5400) return Math.floor(seconds / 60) + " min";
    if (seconds < 129600) return Math.floor(seconds / 3600) + " h";
    return Math.floor(seconds / 86400) + " days";
  }

  function tick() {
    const now = Date.now() + ahead;
    for (const element of document.querySelectorAll("[data-rel]")) {
      const seconds = Math.round((Date.parse(element.dataset.rel) - now) / 1000);
      const text = Math.abs(seconds) < 2 ? "just now" : seconds > 0 ? "in " + span(seconds) : span(-seconds) + " ago";
      if (element.textContent !== text) element.textContent = text;
    }
  }
  setInterval(tick, 1000);

  const SILENT_AFTER = 20000; // milliseconds
  const main = document.querySelector("main[data-live]");
  if (main && "EventSource" in window) {
    const waiting = new Map();
    const stale = document.getElementById("stale");
    let source = null;
    let heard = Date.now();

    // The stream speaks every ten seconds at least, so silence means that nothing here can be relied on.
    function contact() {
      heard = Date.now();
      stale.hidden = true;
    }

    function noContact() {
      stale.querySelector("strong").textContent = document.getElementById("part-as-of").dataset.at;
      stale.hidden = false;
    }

    function listen() {
      if (stale.hidden && Date.now() - heard >= SILENT_AFTER) noContact();
    }
    setInterval(listen, 1000);

    // A part is left alone while somebody types in it or has a form open in it; it is put in when they are done.
    function busy(element) {
      const active = document.activeElement;
      return (element.contains(active) && active.matches("input, textarea, select")) ||
        element.querySelector("details[open][data-hold]") !== null;
    }

    function put(id, html) {
      const element = document.getElementById(id);
      if (!element) return;
      if (busy(element)) { waiting.set(id, html); return; }
      waiting.delete(id);
      const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
      const open = [...element.querySelectorAll("details[open][id]")].map((details) => details.id);
      const holder = document.createElement("template");
      holder.innerHTML = html;
      const fresh = holder.content.firstElementChild;
      if (!fresh) return;
      element.replaceWith(fresh);
      for (const name of open) document.getElementById(name)?.setAttribute("open", "");
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      tick();
    }

    function later() {
      setTimeout(() => { for (const [id, html] of [...waiting]) put(id, html); }, 50);
    }
    document.addEventListener("focusout", later);
    document.addEventListener("toggle", later, true);

    function connect() {
      if (source || document.hidden) return;
      source = new EventSource(main.dataset.live);
      for (const name of ["part", "heartbeat"]) {
        source.addEventListener(name, (event) => {
          const part = JSON.parse(event.data);
          put(part.id, part.html);
          contact();
        });
      }
      source.onerror = () => {
        noContact();
        // Refused (signed out, say): the browser does not ask again by itself.
        if (source && source.readyState === EventSource.CLOSED) { disconnect(); setTimeout(connect, 5000); }
      };
    }

    // A browser opens six streams to one place at most, so a hidden tab gives its own up.
    function disconnect() {
      if (source) source.close();
      source = null;
    }
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) { disconnect(); return; }
      listen();
      connect();
    });
    addEventListener("pagehide", disconnect);
    addEventListener("pageshow", connect);
    connect();
  }

  const form = document.querySelector("form[data-recount]");
  const told = document.getElementById("told");
  if (form && told) {
    let timer = 0;
    let asked = 0;
    form.addEventListener("change", () => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        const mine = ++asked;
        try {
          const answer = await fetch(form.dataset.recount, { method: "POST", body: new URLSearchParams(new FormData(form)) });
          if (answer.ok && mine === asked) told.innerHTML = await answer.text();
        } catch { /* the button beside it counts as well */ }
      }, 250);
    });
  }

  document.querySelector(".wrong[tabindex]")?.focus();
})();
