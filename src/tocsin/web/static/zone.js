// Enters the browser's time zone into the form of a new schedule, if the server knows that zone.

const input = document.querySelector("input[data-browser-zone]");
const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;

if (input && input.value === input.defaultValue && [...input.list.options].some((option) => option.value === zone)) {
  input.value = zone;
}
