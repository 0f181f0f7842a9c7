// What the elements have in common: a shadow root with their style, and attributes that say which machine.

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host { display: block; color-scheme: light dark; font: 1rem/1.4 system-ui, sans-serif; margin-block: 1rem;
  border: 1px solid color-mix(in srgb, CanvasText 30%, Canvas); border-radius: .5rem; background: Canvas; color: CanvasText; overflow: hidden; }
:host([hidden]) { display: none; }
.bar { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; padding: .5rem .75rem; }
.status { flex: 1; min-width: 8rem; overflow-wrap: anywhere; font-size: .9rem; }
.status.error { color: light-dark(#b3261e, #ff9d94); }
button { font: inherit; padding: .4rem .9rem; min-height: 2.5rem; border-radius: .4rem; border: 1px solid currentColor; background: ButtonFace;
  color: ButtonText; cursor: pointer; }
button:disabled { opacity: .5; cursor: default; }
button[aria-pressed=true] { background: Highlight; color: HighlightText; }
:focus-visible { outline: 2px solid Highlight; outline-offset: 1px; }
progress { width: 100%; height: .3rem; display: block; border: 0; }
[hidden] { display: none !important; }
.screen { height: var(--vivarium-height, 24rem); padding: .25rem; }
.poster { display: block; width: 100%; max-height: 24rem; object-fit: cover; }
.keys { display: none; flex-wrap: wrap; gap: .25rem; padding: .25rem; }
@media (pointer: coarse) { .keys { display: flex; } }
textarea, pre { box-sizing: border-box; width: 100%; margin: 0; padding: .75rem; border: 0; font: .9rem/1.4 ui-monospace, Menlo, Consolas, monospace;
  background: color-mix(in srgb, CanvasText 6%, Canvas); color: inherit; white-space: pre-wrap; overflow-wrap: anywhere; }
textarea { resize: vertical; display: block; }
pre { max-height: 24rem; overflow: auto; background: Canvas; border-top: 1px solid color-mix(in srgb, CanvasText 20%, Canvas); }
`);

// What an element's attributes say about its machine, as options of Vivarium.start().
const texts = ["guest", "guests", "restore", "append", "jit", "net"];
const sizes = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

export class VivariumElement extends HTMLElement {
  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
  }

  machineOptions() {
    const options = {};
    for (const name of texts) if (this.hasAttribute(name)) options[name] = this.getAttribute(name);
    if (options.guests !== undefined) options.guests = new URL(options.guests, document.baseURI);
    if (this.hasAttribute("cpus")) options.cpus = Number(this.getAttribute("cpus"));
    const memory = /^(\d+)([KMG]?)$/.exec(this.getAttribute("memory") ?? "");
    if (memory) options.memory = memory[1] * sizes[memory[2]];
    if (options.guest === undefined && options.restore === undefined) options.guest = "linux-riscv64";
    return options;
  }

  // make("p", {className: "status"}, ...children): an element with these properties, or attributes where a name has a dash or is "role".
  make(tag, facts = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(facts))
      if (name === "role" || name.includes("-")) made.setAttribute(name, value);
      else made[name] = value;
    made.append(...children);
    return made;
  }
  makeStatus(text) {
    return this.make("span", { className: "status", role: "status", "aria-live": "polite", textContent: text });
  }
  say(text, isError = false) {
    this.status.textContent = text;
    this.status.classList.toggle("error", isError);
  }
  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }
}

// How far the files have come, in a progress element.
export function showProgress(element, { loaded, total }) {
  element.hidden = loaded >= total;
  element.max = total;
  element.value = loaded;
}
