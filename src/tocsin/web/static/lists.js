// The selection in a list: counted, and kept while the list is refreshed.

const CHECKED = 'input[name="incident"]:checked';
const results = () => document.getElementById("results");

function count() {
  const chosen = document.getElementById("chosen");
  if (!chosen) return;
  const number = results().querySelectorAll(CHECKED).length;
  const text = number ? `${number} selected` : "None selected";
  if (chosen.textContent !== text) chosen.textContent = text;
  for (const button of chosen.parentElement.querySelectorAll("button")) button.disabled = number === 0;
}

document.addEventListener("change", (event) => event.target.name === "incident" && count());
document.addEventListener("reset", () => setTimeout(count));

let kept = [];
document.addEventListener("htmx:before:swap", (event) => {
  const acted = event.detail.ctx.sourceElement?.id === "results"; // the selection has been processed
  kept = acted ? [] : [...(results()?.querySelectorAll(CHECKED) ?? [])].map((box) => box.value);
});

document.addEventListener("htmx:after:swap", () => {
  for (const box of results()?.querySelectorAll('input[name="incident"]') ?? []) box.checked = kept.includes(box.value);
  count();
});
document.addEventListener("htmx:finally:request", () => setTimeout(count)); // after htmx has enabled the buttons

count();
