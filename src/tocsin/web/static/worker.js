// The browser's one connection to the stream, for all of its tabs.

import { Stream } from "./stream.js";

const tabs = new Set();
let state = null;

const stream = new Stream("/api/v1/incidents/stream", (news) => {
  if (news.kind !== "incident") state = news;
  for (const tab of tabs) tab.postMessage(news);
});

addEventListener("connect", ({ ports: [tab] }) => {
  tab.addEventListener("message", () => { // the only word that a tab says: it goes
    tabs.delete(tab);
    if (tabs.size === 0) stream.close();
  });
  tab.start();
  tabs.add(tab);
  if (tabs.size === 1) stream.open();
  else if (state) tab.postMessage(state);
});
