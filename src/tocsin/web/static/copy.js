// A link to a text copies it instead, if the browser allows a page to write to the clipboard.

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-copied]");
  if (!link || !navigator.clipboard || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const text = fetch(link.href).then((response) => (response.ok ? response.text() : Promise.reject(response.status)));
  try {
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
    link.textContent = link.dataset.copied;
    document.getElementById("spoken").textContent = link.dataset.copied;
  } catch {
    location.assign(link.href);
  }
});
