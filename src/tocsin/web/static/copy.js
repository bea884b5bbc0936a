// A link to a text copies it instead, where the browser lets a page write to the clipboard.

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-copied]");
  if (!link || !navigator.clipboard || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const text = fetch(link.href).then((answer) => (answer.ok ? answer.text() : Promise.reject(answer.status)));
  try {
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
    link.textContent = link.dataset.copied;
    document.getElementById("spoken").textContent = link.dataset.copied;
  } catch {
    location.assign(link.href);
  }
});
