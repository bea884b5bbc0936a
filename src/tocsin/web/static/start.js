// Loads the other scripts after the first frame: a page can be read and its forms work without them.

const load = () => {
  for (const part of ["live", "keys", "lists", "copy", "zone"]) import(`./${part}.js`);
};

if (document.hidden)
  load(); // no frame is drawn in a hidden tab
else requestAnimationFrame(() => setTimeout(load)); // after that frame
