// A terminal in a shadow root: xterm.js, with its styles where a Content-Security-Policy allows them, the page's colours, and keys that phones lack.
// Promises: needs neither inline styles nor evaluation; what is shown can be read by screen readers.

import { FitAddon } from "./addon-fit.mjs";
import { Terminal } from "./xterm.mjs";

const dark = { background: "#16181d", foreground: "#e6e6e6", cursor: "#e6e6e6", selectionBackground: "#44506a" };
const light = { background: "#ffffff", foreground: "#1c1e21", cursor: "#1c1e21", selectionBackground: "#b9d2f5",
  yellow: "#8a6100", brightYellow: "#7a5600", green: "#1d7a2b", brightGreen: "#15661f", white: "#5b6068", brightWhite: "#3a3f46", cyan: "#0b7285", brightCyan: "#095c6b" };
const keys = [["Esc", "\x1b"], ["Tab", "\t"], ["↑", "\x1b[A"], ["↓", "\x1b[B"], ["←", "\x1b[D"], ["→", "\x1b[C"]];

// The library makes style elements, which a policy forbids; what it writes into them goes into sheets of the root instead. This
// makes what stands for such an element.
function styleMaker(root) {
  return () => {
    const sheet = new CSSStyleSheet();
    const place = document.createElement("span");
    place.hidden = true;
    root.adoptedStyleSheets.push(sheet);
    Object.defineProperty(place, "textContent", { set: (text) => sheet.replaceSync(text) });
    place.remove = () => {
      root.adoptedStyleSheets = root.adoptedStyleSheets.filter((each) => each !== sheet);
      Element.prototype.remove.call(place);
    };
    return place;
  };
}
// The document, for most of the library's elements,
function documentWith(makeStyle) {
  return new Proxy(document, {
    get(target, name) {
      if (name === "createElement") return (tag, ...more) => (tag === "style" ? makeStyle() : target.createElement(tag, ...more));
      const value = target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
// and while it opens, when it asks the page's own document for one.
function withStyles(makeStyle, open) {
  document.createElement = (tag, ...more) => (tag === "style" ? makeStyle() : Document.prototype.createElement.call(document, tag, ...more));
  try {
    open();
  } finally {
    delete document.createElement;
  }
}

// Puts a terminal into `place`, an element of `root`; send(text) gets what is typed. Returns {write(bytes), focus(), dispose()}.
export async function makeTerminal(root, place, send) {
  const css = await (await fetch(new URL("xterm.css", import.meta.url))).text();
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  root.adoptedStyleSheets.push(sheet);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => (scheme.matches ? dark : light);
  const makeStyle = styleMaker(root);
  const terminal = new Terminal({ documentOverride: documentWith(makeStyle), screenReaderMode: true, theme: theme(),
    fontFamily: "ui-monospace, Menlo, Consolas, monospace", fontSize: 14, scrollback: 5000, minimumContrastRatio: 4.5 });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  withStyles(makeStyle, () => terminal.open(place));
  const recolour = () => (terminal.options.theme = theme());
  scheme.addEventListener("change", recolour);
  const resizing = new ResizeObserver(() => fit.fit());
  resizing.observe(place);

  const bar = document.createElement("div");
  bar.className = "keys";
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", "Keys of the terminal");
  const button = (label, press) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = label;
    made.onclick = () => {
      press(made);
      terminal.focus();
    };
    bar.append(made);
    return made;
  };
  const control = button("Ctrl", (made) => made.setAttribute("aria-pressed", made.getAttribute("aria-pressed") !== "true"));
  control.setAttribute("aria-pressed", "false");
  for (const [label, text] of keys) button(label, () => send(text));
  place.after(bar);
  terminal.onData((text) => {
    const held = control.getAttribute("aria-pressed") === "true" && /^[a-z[\\\]^_@]$/i.test(text);
    if (held) control.setAttribute("aria-pressed", "false");
    send(held ? String.fromCharCode(text.toUpperCase().charCodeAt(0) & 0x1f) : text);
  });
  return {
    write: (bytes) => terminal.write(bytes),
    focus: () => terminal.focus(),
    reset: () => terminal.reset(),
    // As a line of text each, for those who look for something.
    get text() {
      const buffer = terminal.buffer.active;
      return Array.from({ length: buffer.length }, (_, line) => buffer.getLine(line).translateToString(true)).join("\n").trimEnd();
    },
    dispose() {
      scheme.removeEventListener("change", recolour);
      resizing.disconnect();
      bar.remove();
      terminal.dispose();
    },
  };
}
