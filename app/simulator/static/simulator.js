// Keeps the part of the page that changes fresh. Without it, pages refresh by themselves more slowly, or on reload.
"use strict";
(() => {
  const live = document.getElementById("live");
  if (!live) return;
  const thread = () => live.querySelector(".thread");
  let busy = false;
  const toEnd = () => { const list = thread(); if (list) list.scrollTop = list.scrollHeight; };
  const refresh = async () => {
    if (busy || document.hidden || live.contains(document.activeElement) || String(getSelection())) return;
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById("live");
      if (!next || next.innerHTML === live.innerHTML) return;
      const old = thread();
      const top = old ? old.scrollTop : 0;
      const atEnd = old ? old.scrollHeight - top - old.clientHeight < 40 : false;
      live.replaceChildren(...next.childNodes);
      const now = thread();
      if (now) now.scrollTop = atEnd ? now.scrollHeight : top;
    } catch {
      // The simulator is away for a moment: the page keeps what it shows and tries again.
    } finally {
      busy = false;
    }
  };
  toEnd();
  setInterval(refresh, 2000);
})();
