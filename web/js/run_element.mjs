// <vivarium-run guest="NAME" command="sh -">code</vivarium-run>: code that can be edited and run in a guest; command gets it on standard input. Blocks
// of a page whose attributes name the same machine share it, files and all. Attributes: as of <vivarium-machine>, and command, label. Events that bubble:
// "vivarium-result" (detail: the exit code) and "vivarium-error" (detail: the error).

import { showProgress, VivariumElement } from "./element.mjs";

const longest = 200_000; // characters of output that are kept
const machines = new Map(); // by their options: a promise of one that runs
const loading = new Map(); // by their options: who is told how far it is

async function machineFor(options, told) {
  const key = JSON.stringify(options);
  if (!loading.has(key)) loading.set(key, new Set());
  loading.get(key).add(told);
  if (!machines.has(key)) {
    const made = import("./index.mjs").then(({ Vivarium }) => Vivarium.start({
      ...options,
      onProgress: (progress) => loading.get(key).forEach((each) => each(progress)),
      onState: (state) => (state === "off" || state === "failed") && machines.get(key) === made && machines.delete(key),
    }));
    machines.set(key, made);
    made.catch(() => machines.get(key) === made && machines.delete(key));
  }
  try {
    return await machines.get(key);
  } finally {
    loading.get(key).delete(told);
  }
}

export class RunElement extends VivariumElement {
  #built = false;
  #control;

  connectedCallback() {
    if (!this.#built) this.#build();
  }
  disconnectedCallback() {
    queueMicrotask(() => this.isConnected || this.#control?.abort());
  }

  #build() {
    this.#built = true;
    const code = this.textContent.replace(/^\n|\s+$/g, "");
    const label = this.getAttribute("label") ?? "Code";
    this.editor = this.make("textarea", { value: code, rows: code.split("\n").length, spellcheck: false, "aria-label": `${label}, can be edited` });
    this.editor.setAttribute("autocapitalize", "off");
    this.editor.onkeydown = (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.run();
    };
    this.button = this.make("button", { type: "button", textContent: "Run", onclick: () => (this.#control ? this.#control.abort() : this.run()) });
    this.status = this.makeStatus("");
    this.progress = this.make("progress", { hidden: true, "aria-label": "Loading" });
    this.output = this.make("pre", { hidden: true, tabIndex: 0, role: "log", "aria-label": `Output of ${label}` });
    this.shadowRoot.append(this.editor, this.make("div", { className: "bar" }, this.button, this.status), this.progress, this.output);
  }

  async run() {
    if (this.#control) return;
    const control = (this.#control = new AbortController());
    this.button.textContent = "Stop";
    this.output.textContent = "";
    this.output.hidden = false;
    this.say("Starting the machine");
    const out = new TextDecoder();
    const error = new TextDecoder();
    const show = (decoder) => (bytes) => this.#show(decoder.decode(bytes, { stream: true }));
    try {
      const vm = await Promise.race([
        machineFor(this.machineOptions(), (progress) => showProgress(this.progress, progress)),
        new Promise((_, stop) => control.signal.addEventListener("abort", () => stop(control.signal.reason))),
      ]);
      this.say("running");
      const { code } = await vm.exec(this.getAttribute("command") ?? "sh -",
        { stdin: `${this.editor.value}\n`, signal: control.signal, onStdout: show(out), onStderr: show(error) });
      this.say(`ended with code ${code}`, code !== 0);
      this.emit("vivarium-result", code);
    } catch (problem) {
      this.say(control.signal.aborted ? "stopped" : problem.message, !control.signal.aborted);
      if (!control.signal.aborted) this.emit("vivarium-error", problem);
    }
    this.#control = undefined;
    this.progress.hidden = true;
    this.button.textContent = "Run";
  }
  #show(text) {
    this.output.append(text.replace(/\x1b\[[0-9;?]*[A-Za-z]|\r/g, ""));
    if (this.output.textContent.length > longest) this.output.textContent = this.output.textContent.slice(-longest / 2);
    this.output.scrollTop = this.output.scrollHeight;
  }
}
