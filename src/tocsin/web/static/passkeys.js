// Adds a passkey, and logs in with one: the server sends the options for the browser, whose response is a form's field.

const MESSAGES = {
  AbortError: "That was interrupted. Try again.",
  InvalidStateError: "This device has a passkey of your account already.",
  NotAllowedError: {
    create: "No passkey was created: it was cancelled, or took too long. Try again, or with another device.",
    get: "No passkey was used: it was cancelled, took too long, or this device has none. Try again, or log in with your password.",
  },
  NotSupportedError: "This device cannot create a passkey. Try another one, such as a phone or a security key.",
  SecurityError: "The browser does not allow passkeys at this address.",
};

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
const base64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

class ServerError extends Error {}

// For browsers without parseCreationOptionsFromJSON and parseRequestOptionsFromJSON.
function parsed(options) {
  const withBytes = (list) => list?.map((each) => ({ ...each, id: bytes(each.id) }));
  return {
    ...options,
    challenge: bytes(options.challenge),
    ...(options.user && { user: { ...options.user, id: bytes(options.user.id) } }),
    ...(options.excludeCredentials && { excludeCredentials: withBytes(options.excludeCredentials) }),
  };
}

// PublicKeyCredential.toJSON is missing in older browsers, and in what password managers return.
function plain(credential) {
  const { response } = credential;
  const shown = { transports: response.getTransports?.() };
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) shown[name] = base64url(response[name]);
  }
  return { id: credential.id, rawId: base64url(credential.rawId), type: credential.type, response: shown };
}

async function ask(form, how) {
  const response = await fetch(`${new URL(form.action).pathname}/options`, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
  }).catch(() => {
    throw new ServerError("Tocsin cannot be reached. Check your connection and try again.");
  });
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new ServerError(problem.detail ?? "Tocsin did not respond as expected. Try again.");
  }
  const options = await response.json();
  const parse =
    how === "create"
      ? PublicKeyCredential.parseCreationOptionsFromJSON
      : PublicKeyCredential.parseRequestOptionsFromJSON;
  const publicKey = parse ? parse.call(PublicKeyCredential, options) : parsed(options);
  const credential = await navigator.credentials[how]({ publicKey });
  return JSON.stringify(plain(credential));
}

function reason(error, how) {
  if (error instanceof ServerError) return error.message;
  const message = MESSAGES[error.name];
  return message?.[how] ?? message ?? "The browser could not do this. Try again, or with another device.";
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-passkey]");
  if (!form) return;
  event.preventDefault();
  if (form.ariaBusy === "true") return; // a second click
  const alert = form.querySelector("[role=alert]");
  alert.textContent = "";
  if (location.origin !== form.dataset.origin) {
    alert.textContent = `Passkeys work at ${form.dataset.origin} only. Open Tocsin at that address.`;
    return;
  }
  if (!window.PublicKeyCredential) {
    alert.textContent = "This browser does not support passkeys. Use another one, or your password.";
    return;
  }
  form.ariaBusy = "true";
  try {
    form.elements.credential.value = await ask(form, form.dataset.passkey);
    form.submit();
  } catch (error) {
    alert.textContent = reason(error, form.dataset.passkey);
    form.ariaBusy = "false";
  }
});

// Back on a page that the browser has kept as it was.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-passkey]")) form.ariaBusy = "false";
});
