// Loads what makes a page live once the page is there to read: nothing in it needs a script to be read or to act.

const load = () => ["live", "keys", "lists", "copy"].forEach((part) => import(`./${part}.js`));

if (document.hidden) load(); // where no frame is drawn until somebody looks
else requestAnimationFrame(() => setTimeout(load)); // after that frame
