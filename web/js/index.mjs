// The package `vivarium`: a machine in a page or in Node. Types and their descriptions: index.d.ts.
// Promises: everything that can fail rejects or throws with one of errors.mjs, one line that says what is wrong; a machine that
// has ended holds no memory.

import { Agent, bytesOf } from "./agent.mjs";
import { AgentError, LoadError, MachineError, unpackError } from "./errors.mjs";
import { fetchJson } from "./fetching.mjs";
import { offerUrl, relayUrl } from "./relay.mjs";

export * from "./errors.mjs";

const node = globalThis.process?.versions?.node;
const usualAgent = "org.vivarium.agent.0";
const blobs = ["kernel", "initrd", "bios"];
const offered = ["monitor", "qmp", "gdb", "vnc"];
const fields = ["display", "name", "board", "cpu", "append", "memory", "cpus", "seed", "deterministic", "jit", "jitCache"];

const here = globalThis.document?.baseURI ?? import.meta.url;
const absolute = (url, base = here) => {
  try {
    return new URL(url, base).href;
  } catch {
    throw new LoadError(`${url}: is no URL`);
  }
};

async function makeWorker() {
  const url = new URL("worker.mjs", import.meta.url);
  if (node) return new (await import("node:worker_threads")).Worker(url);
  try {
    return new Worker(url, { type: "module" });
  } catch (error) {
    throw new LoadError(`${url}: workers must come from the page's own site; put the package there (${error.message})`);
  }
}

// Of the option `net`: the relays' URLs, and the card's address if one is given.
function readNet(net) {
  if (net === undefined) return {};
  const plain = typeof net === "string" || net instanceof URL || Array.isArray(net);
  const { url, token, mac } = plain ? { url: net } : net;
  const urls = (Array.isArray(url) ? url : [url]).map((each) => relayUrl(each, { base: here, token }));
  if (urls.length === 0) throw new LoadError("net: needs the URL of a relay's room");
  return { urls, mac };
}
// Machines of many pages may meet in a room: two with one address would be a fault that nobody finds.
const randomMac = () => ["52:54:00", ...Array.from(crypto.getRandomValues(new Uint8Array(3)), (byte) => byte.toString(16).padStart(2, "0"))].join(":");

// What is to be posted to a worker for a new machine; ready: what its console shows when it waits for a user.
async function describe({ guest, guests = new URL("../guests/", import.meta.url), agent, net, ...options }) {
  const { urls, mac = randomMac() } = readNet(net);
  let folder = here;
  let published = {};
  if (guest !== undefined) {
    folder = absolute(/[/:]/.test(guest) ? guest.replace(/\/?$/, "/") : `${encodeURIComponent(guest)}/`, absolute(guests));
    published = { name: guest, ...(await fetchJson(guest, absolute("guest.json", folder))) };
  }
  const port = agent ?? published.agent ?? (guest === undefined ? usualAgent : "");
  const description = port ? { ports: [port] } : {};
  for (const field of fields) {
    const value = options[field] ?? published[field];
    if (value !== undefined) description[field] = value;
  }
  if (urls) description.net = { mac };
  const files = {};
  for (const part of blobs) {
    const [given, base] = options[part] !== undefined ? [options[part], here] : [published[part], folder];
    if (given === undefined) continue;
    description[part] = part;
    if (given instanceof Blob) files[part] = new Uint8Array(await given.arrayBuffer());
    else files[part] = typeof given === "string" || given instanceof URL ? absolute(given, base) : bytesOf(given);
  }
  const disks = (options.disks ?? []).map(({ url, overlay, readOnly }) => ({ url: absolute(url), overlay, readOnly }));
  return { request: { do: "start", description, files, disks, net: urls }, ready: published.ready };
}

function describeSaved(saved, { agent = usualAgent, jit, jitCache, net }) {
  const wishes = { ports: agent ? [agent] : [] };
  const { urls } = readNet(net);
  if (urls) wishes.net = {};
  if (jit !== undefined) wishes.jit = jit;
  if (jitCache !== undefined) wishes.jitCache = jitCache;
  return { do: "open", wishes, net: urls, ...(saved instanceof Blob ? { blob: saved } : { url: absolute(saved) }) };
}

export class Vivarium {
  #options;
  #worker;
  #launched; // which one: by the time that its worker is there it may have been stopped
  #agent;
  #state = "loading";
  #exitCode;
  #listeners = new Map();
  #starting; // {done, failed} of the machine that is being started
  #saving = [];
  #offers = new Map(); // of each protocol the tunnel's URL

  static async start(options = {}) {
    const { signal, files = {}, offers = {}, onSerial, onProgress, onState, onError, onRelay } = options;
    signal?.throwIfAborted();
    const vm = new Vivarium();
    vm.#options = options;
    for (const [event, listener] of Object.entries({ serial: onSerial, progress: onProgress, state: onState, error: onError, relay: onRelay }))
      if (listener) vm.on(event, listener);
    for (const [protocol, where] of Object.entries(offers)) vm.offer(protocol, where);
    const abort = () => vm.#end("off", signal.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      if (options.restore !== undefined) {
        await vm.restore(options.restore);
        if (options.type) vm.serial.write(options.type);
      } else {
        const { request, ready } = await describe(options);
        signal?.throwIfAborted();
        if (options.type && ready) vm.#typeAt(ready, options.type);
        await vm.#launch(request);
        if (options.type && !ready) vm.serial.write(options.type);
      }
      for (const [path, data] of Object.entries(files)) await vm.writeFile(path, data, { signal });
    } catch (error) {
      vm.#end("failed", error);
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
    return vm;
  }

  get state() {
    return this.#state;
  }
  get exitCode() {
    return this.#exitCode;
  }
  get serial() {
    return { write: (data) => this.#post({ do: "type", stream: 0, input: typeof data === "string" ? data : bytesOf(data) }) };
  }

  on(event, listener) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(listener);
    return () => this.#listeners.get(event).delete(listener);
  }

  async exec(command, options = {}) {
    const words = typeof command === "string" ? ["/bin/sh", "-c", command] : [...command];
    const { stdout, stderr, code } = await this.#agentOrThrow().exec(words, options);
    const decoder = new TextDecoder();
    return { stdout: decoder.decode(stdout), stderr: decoder.decode(stderr), code };
  }
  async readFile(path, options) {
    return this.#agentOrThrow().readFile(path, options);
  }
  async writeFile(path, data, options) {
    return this.#agentOrThrow().writeFile(path, data instanceof Blob ? await data.arrayBuffer() : data, options);
  }

  save() {
    return new Promise((done, failed) => {
      this.#post({ do: "save" });
      this.#saving.push({ done, failed });
    });
  }
  async restore(saved) {
    this.#release(new MachineError("another machine has been opened instead"));
    await this.#launch(describeSaved(saved, this.#options));
  }

  offer(protocol, where) {
    if (!offered.includes(protocol)) throw new MachineError(`${protocol}: cannot be offered; there are ${offered.join(", ")}`);
    const { url, token } = typeof where === "string" || where instanceof URL ? { url: where } : where;
    this.#setOffer(protocol, offerUrl(url, { base: here, token }));
  }
  withdraw(protocol) {
    this.#setOffer(protocol, undefined);
  }

  pause() {
    this.#post({ do: "pause" });
    this.#become("paused");
  }
  resume() {
    this.#post({ do: "resume" });
    this.#become("running");
  }
  reset() {
    this.#post({ do: "reset" });
  }
  stop() {
    this.#end("off", new MachineError("the machine has been stopped"));
  }

  #setOffer(protocol, url) {
    if (url === undefined) this.#offers.delete(protocol);
    else this.#offers.set(protocol, url);
    // A machine that is still to come gets all of them.
    if (this.#worker && !this.#starting) this.#post({ do: "offer", protocol, url });
  }
  // As soon as the console has shown `ready`.
  #typeAt(ready, text) {
    const decoder = new TextDecoder();
    let end = "";
    const off = this.on("serial", (bytes) => {
      end += decoder.decode(bytes, { stream: true });
      if (!end.includes(ready)) return void (end = end.slice(-ready.length));
      off();
      this.serial.write(text);
    });
  }
  #tell(event, about) {
    for (const listener of this.#listeners.get(event) ?? []) listener(about);
  }
  #become(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.#tell("state", state);
  }
  #post(message) {
    if (!this.#worker || this.#starting) throw new MachineError(`the machine is ${this.#state}`);
    this.#worker.postMessage(message);
  }
  #agentOrThrow() {
    if (!this.#agent) throw new AgentError(this.#worker ? "the guest has no agent" : `the machine is ${this.#state}`);
    return this.#agent;
  }

  async #launch(request) {
    this.#become("loading");
    this.#exitCode = undefined;
    const launch = (this.#launched = {});
    const worker = await makeWorker();
    if (launch !== this.#launched) {
      worker.terminate();
      throw this.#options.signal?.reason ?? new MachineError("the machine has been stopped");
    }
    this.#worker = worker;
    const restored = request.do === "open";
    if ((request.wishes ?? request.description).ports?.length > 0)
      this.#agent = new Agent((input) => worker.postMessage({ do: "type", stream: 1, input }));
    const hear = (data) => worker === this.#worker && this.#hear(data, restored);
    const broken = (error) => hear({ event: "failed", error: { message: `the worker has failed: ${error.message ?? "it cannot be loaded"}` } });
    if (node) worker.on("message", hear).on("error", broken);
    else Object.assign(worker, { onmessage: ({ data }) => hear(data), onerror: broken });
    await new Promise((done, failed) => {
      this.#starting = { done, failed };
      worker.postMessage(request);
    });
    for (const [protocol, url] of this.#offers) this.#post({ do: "offer", protocol, url });
    this.#become("running");
  }

  #hear(data, restored) {
    if (data.event === "progress") this.#tell("progress", { name: data.name, loaded: data.loaded, total: data.total });
    if (data.event === "started") {
      if (this.#agent && !data.ports[0]) this.#agent = undefined;
      this.#starting.done();
      this.#starting = undefined;
    }
    if (data.event === "output") this.#tell("serial", data.bytes);
    if (data.event === "port") this.#hearPort(data, restored);
    if (data.event === "relay") this.#tell("relay", { of: data.of, connected: data.connected, problem: data.problem });
    if (data.event === "saved") this.#saving.shift().done(data.blob);
    if (data.event === "unsaved") this.#saving.shift().failed(unpackError(data.error));
    if (data.event === "ended") {
      this.#exitCode = data.exitCode;
      this.#end("off", new MachineError(`the machine has powered off with code ${data.exitCode}`));
    }
    if (data.event === "failed") this.#end("failed", unpackError(data.error));
  }
  #portOpen = false;
  #hearPort({ open, bytes }, restored) {
    if (open && !this.#portOpen && restored) this.#agent.greet();
    if (bytes.length > 0) this.#agent.receive(bytes);
    if (!open && this.#portOpen) this.#agent.close("the guest's agent has ended");
    this.#portOpen = open;
  }

  // Everything that is waited for fails with `error`.
  #release(error) {
    this.#worker?.terminate();
    this.#worker = this.#launched = undefined;
    this.#portOpen = false;
    this.#agent?.end(error.message);
    this.#agent = undefined;
    for (const { failed } of this.#saving.splice(0)) failed(error);
    this.#starting?.failed(error);
    this.#starting = undefined;
  }
  #end(state, error) {
    if (this.#state === "off" || this.#state === "failed") return;
    this.#release(error);
    if (state === "failed") this.#tell("error", error);
    this.#become(state);
  }
}
