// The browser's one connection to the stream, shared by its tabs.

import { Stream } from "./stream.js";

const tabs = new Set();
let state = null;

const stream = new Stream("/api/v1/incidents/stream", (message) => {
  if (message.kind !== "incident") state = message;
  for (const tab of tabs) tab.postMessage(message);
});

addEventListener("connect", ({ ports: [tab] }) => {
  tab.addEventListener("message", () => {
    // a tab's only message: it is leaving
    tabs.delete(tab);
    if (tabs.size === 0) stream.close();
  });
  tab.start();
  tabs.add(tab);
  if (tabs.size === 1) stream.open();
  else if (state) tab.postMessage(state);
});
