// <vivarium-machine guest="NAME" autostart poster="URL">: a machine with its terminal. Attributes: guest, guests, restore, append, memory (512M), cpus, jit, net,
// cmd (typed when the guest waits for a user), autostart (as soon as it is on the screen), poster, label. Property `vm`: the machine, while there is one.
// Events that bubble: "vivarium-state" (detail: the state) and "vivarium-error" (detail: the error).

import { showProgress, VivariumElement } from "./element.mjs";

export class MachineElement extends VivariumElement {
  vm;
  #built = false;
  #terminal;
  #seen;
  #control;

  connectedCallback() {
    if (!this.#built) this.#build();
    if (!this.hasAttribute("autostart") || this.vm || this.#control) return;
    this.#seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      this.#seen.disconnect();
      this.start();
    });
    this.#seen.observe(this);
  }
  disconnectedCallback() {
    this.#seen?.disconnect();
    // An element that is only moved is back by then.
    queueMicrotask(() => this.isConnected || this.stop());
  }

  #build() {
    this.#built = true;
    const name = this.getAttribute("label") ?? this.getAttribute("guest") ?? "a machine";
    this.button = this.make("button", { type: "button", textContent: "Start", onclick: () => (this.#control ? this.stop() : this.start()) });
    this.button.setAttribute("aria-label", `Start ${name}`);
    this.status = this.makeStatus(`${name} is off`);
    this.progress = this.make("progress", { hidden: true, "aria-label": "Loading" });
    this.poster = this.make("img", { className: "poster", alt: "", hidden: !this.hasAttribute("poster") });
    if (this.hasAttribute("poster")) this.poster.src = this.getAttribute("poster");
    this.screen = this.make("div", { className: "screen", hidden: true, role: "group", "aria-label": `The terminal of ${name}` });
    this.shadowRoot.append(this.make("div", { className: "bar" }, this.button, this.status), this.progress, this.poster, this.screen);
  }

  // What the terminal shows, as text.
  get text() {
    return this.#terminal?.text ?? "";
  }

  async start() {
    if (this.#control) return;
    const control = (this.#control = new AbortController());
    this.#showStarted(true);
    this.say("Loading");
    try {
      const [{ Vivarium }, { makeTerminal }] = await Promise.all([import("./index.mjs"), import("./terminal.mjs")]);
      control.signal.throwIfAborted();
      this.poster.hidden = true;
      this.screen.hidden = false;
      this.#terminal ??= await makeTerminal(this.shadowRoot, this.screen, (text) => this.vm && this.vm.state !== "off" && this.vm.serial.write(text));
      this.#terminal.reset();
      const vm = await Vivarium.start({
        ...this.machineOptions(),
        type: this.hasAttribute("cmd") ? `${this.getAttribute("cmd")}\r` : undefined,
        signal: control.signal,
        onSerial: (bytes) => this.#terminal.write(bytes),
        onProgress: (progress) => showProgress(this.progress, progress),
        onState: (state) => this.emit("vivarium-state", state),
      });
      this.vm = vm;
      vm.on("error", (error) => this.#failed(error));
      vm.on("state", (state) => state === "off" && this.#over(vm.exitCode === undefined ? "stopped" : `has powered off with code ${vm.exitCode}`));
      this.say("running");
      if (!this.hasAttribute("autostart")) this.#terminal.focus();
    } catch (error) {
      if (control.signal.aborted) this.#over("stopped");
      else this.#failed(error);
    }
  }
  stop() {
    this.#control?.abort();
    this.vm?.stop();
  }

  #showStarted(started) {
    this.button.textContent = started ? "Stop" : "Start";
    this.button.setAttribute("aria-label", `${started ? "Stop" : "Start"} ${this.getAttribute("label") ?? this.getAttribute("guest") ?? "a machine"}`);
  }
  #over(text, isError = false) {
    this.vm = this.#control = undefined;
    this.progress.hidden = true;
    this.#showStarted(false);
    this.say(text, isError);
  }
  #failed(error) {
    this.#over(error.message, true);
    this.emit("vivarium-error", error);
  }
}
