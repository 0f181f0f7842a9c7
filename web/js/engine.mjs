// The engine's module with types that JavaScript has: one Machine of this file is one machine.
// Promises: works in a worker and in Node, blocks for no longer than the time given to run(); errors are those of errors.mjs, one
// line that says what would be right. The module's exports are described in web/worker/exports.cpp.

import { LoadError, MachineError, OutOfMemoryError } from "./errors.mjs";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

// Compiles the module once. `factory` is the default export of vivarium.mjs; options are Emscripten's (wasmBinary, ...).
export async function loadEngine(factory, options = {}) {
  const module = await factory(options);
  module.sources = new Map(); // where the engine looks for what is given to look()
  return new Engine(module);
}

class Engine {
  constructor(module) {
    this.module = module;
  }
  // Bytes that the module's memory takes: what has been asked for once is never given back.
  get memoryUsed() {
    return this.module.HEAPU8.length;
  }
  createMachine() {
    return new Machine(this.module);
  }
}

// What the engine says, as the class that fits.
const problem = (text, Otherwise = MachineError) => new (/^cannot allocate /.test(text) ? OutOfMemoryError : Otherwise)(text);

let nextSource = 1;

class Machine {
  #module;
  #handle;
  #source = 0;
  #added = [];
  #saving;
  #page = 0; // the page's own client of the QMP server

  constructor(module) {
    this.#module = module;
    this.#handle = module._viv_new();
  }

  // Ends the machine. Nothing else may be called then.
  free() {
    this.#module._viv_free(this.#handle);
    for (const number of [this.#source, ...this.#added]) this.#module.sources.delete(number);
    this.#handle = 0;
    this.#saving?.failed(new MachineError("the machine has ended before it was saved"));
  }

  // Makes a file that start()'s description can name. `chunks` is one Uint8Array, or an (async) iterable of them that
  // together have `size` bytes.
  async addFile(name, chunks, size = chunks.length) {
    if (size === 0) throw new LoadError(`${name}: is empty`);
    const place = this.#with(encoder.encode(name), (at, length) => this.#module._viv_file(this.#handle, at, length, size)) >>> 0;
    if (place === 0) throw new OutOfMemoryError(`${name}: there is no memory for its ${size} bytes; close other tabs`);
    let done = 0;
    for await (const chunk of chunks instanceof Uint8Array ? [chunks] : chunks) {
      if (done + chunk.length > size) throw new LoadError(`${name}: is longer than the ${size} bytes that were announced`);
      // Memory may have grown, and been moved, since.
      this.#module.HEAPU8.set(chunk, place + done);
      done += chunk.length;
    }
    if (done !== size) throw new LoadError(`${name}: has ${done} bytes instead of ${size}`);
  }

  // What a disk is read from, a DiskSource of disks.mjs, until free(); the number stands for it in start()'s description.
  addSource(source) {
    this.#added.push(nextSource);
    this.#module.sources.set(nextSource, source);
    return nextSource++;
  }
  // What a disk has waited for is there, or cannot be had. Between calls of run().
  diskArrived(number) {
    this.#module._viv_disk_arrived(this.#handle, number);
  }
  // XXH3-128 as chunks are called by it: 32 hexadecimal digits.
  hashOf(bytes) {
    this.#with(bytes, (at, length) => this.#module._viv_hash_of(this.#handle, at, length));
    return this.#text();
  }

  // description: {name, board, cpu, append, memory, cpus, seed, deterministic, jit, jitCache, kernel, initrd, bios,
  // ports, net, disks}; see web/worker/session.h.
  start(description) {
    const ok = this.#with(encoder.encode(JSON.stringify(description)), (at, length) =>
      this.#module._viv_start(this.#handle, at, length));
    if (!ok) throw problem(this.#text());
    this.#page = this.openControl("qmp");
  }

  // A saved machine, to be opened by open(); the source is kept until free(). It is an object with
  //   size: bytes of the file, or of a published machine's index;
  //   read(offset, into), chunk(name, into): fill the Uint8Array with bytes of the file, or with a chunk that lies outside
  //     of it, at once; what they throw is why that cannot be.
  // Returns {identity, isPublished}: a word that stands for all that is in it, and whether its chunks lie outside. sources.mjs
  // has such objects.
  look(source) {
    this.#module.sources.delete(this.#source);
    this.#source = nextSource++;
    this.#module.sources.set(this.#source, source);
    if (!this.#module._viv_look(this.#handle, this.#source)) throw new LoadError(this.#text());
    const [identity, where] = this.#text().split(" ");
    return { identity, isPublished: where === "outside" };
  }
  // Instead of start(), after look(): the machine goes on at once, and reads the source as it needs it. wishes: {jit, jitCache, ports, net}.
  open(wishes = {}) {
    const ok = this.#with(encoder.encode(JSON.stringify(wishes)), (at, length) => this.#module._viv_open(this.#handle, at, length));
    if (!ok) throw problem(this.#text(), LoadError);
    this.#page = this.openControl("qmp");
  }
  // Saves the machine while it runs: calls of run() carry it on. A promise of a Blob, in the format of `viv save`.
  save() {
    if (!this.#module._viv_begin_save(this.#handle)) return Promise.reject(new MachineError(this.#text()));
    return new Promise((done, failed) => (this.#saving = { done, failed, pieces: [] }));
  }
  #carrySaving(off) {
    const { done, failed, pieces } = this.#saving;
    const progress = this.#module._viv_take_saved(this.#handle);
    const piece = this.#bytes();
    if (progress < 3 && piece.length > 0) pieces.push(piece);
    if (progress === 1 && !off) return;
    this.#saving = undefined;
    if (progress === 2) done(new Blob(pieces));
    else failed(new MachineError(progress === 3 ? decoder.decode(piece) : "the machine has ended before it was saved"));
  }

  // Runs for about so many milliseconds. Returns after how many there is something to do again: Infinity if only input can
  // bring that, less than 0 if the machine is off.
  run(milliseconds, lastInstruction = Infinity) {
    const rest = this.#module._viv_run(this.#handle, milliseconds, lastInstruction);
    if (this.#saving) this.#carrySaving(rest < 0);
    return rest;
  }

  get exitCode() {
    return this.#module._viv_exit_code(this.#handle);
  }
  // Why the machine has ended, if a part of it could not be fetched; else empty.
  get problem() {
    this.#module._viv_problem(this.#handle);
    return this.#text();
  }
  get instructions() {
    return this.#module._viv_instructions(this.#handle);
  }
  // Of the whole state, memory included: 32 hexadecimal digits.
  hash() {
    this.#module._viv_hash(this.#handle);
    return this.#text();
  }

  // To the machine's first serial port, or to port number `stream` of the description's, from 1 on: a string or bytes.
  type(input, stream = 0) {
    const bytes = typeof input === "string" ? encoder.encode(input) : input;
    this.#with(bytes, (at, length) => this.#module._viv_type(this.#handle, stream, at, length));
  }
  // What the guest has printed there since the last call, as a Uint8Array.
  takeOutput() {
    this.#module._viv_take_output(this.#handle, 0);
    return this.#bytes();
  }
  // The same of a port; exists: the machine has such a one; open: the guest has its end of it open.
  takePort(stream) {
    const open = this.#module._viv_take_output(this.#handle, stream);
    return { exists: open >= 0, open: open > 0, bytes: this.#bytes() };
  }

  // Between pause() and resume() no time passes for the guest, and run() returns at once.
  pause() {
    this.#module._viv_pause(this.#handle);
  }
  resume() {
    this.#module._viv_resume(this.#handle);
  }
  // Power-on again.
  reset() {
    if (!this.#module._viv_reset(this.#handle)) throw new MachineError(this.#text());
  }

  // Text to the machine's QMP server; returns its answers, and takeEvents() what it has told since.
  qmp(text) {
    this.tellControl(this.#page, encoder.encode(text));
    return this.takeEvents();
  }
  takeEvents() {
    return decoder.decode(this.takeControl(this.#page).bytes);
  }

  // A client of the machine's "monitor", "qmp", "gdb" or "vnc" has come; returns its number.
  openControl(protocol) {
    const number = this.#with(encoder.encode(protocol), (at, length) => this.#module._viv_open_control(this.#handle, at, length));
    if (number === 0) throw new MachineError(this.#text());
    return number;
  }
  closeControl(number) {
    this.#module._viv_close_control(this.#handle, number);
  }
  tellControl(number, bytes) {
    this.#with(bytes, (at, length) => this.#module._viv_tell_control(this.#handle, number, at, length));
  }
  // What it has been told since the last call; over: there is nothing more to come.
  takeControl(number) {
    const over = this.#module._viv_take_control(this.#handle, number) === 0;
    return { bytes: this.#bytes(), over };
  }

  // A frame for the guest's network card, and those that it has sent since the last call.
  giveFrame(frame) {
    this.#with(frame, (at, length) => this.#module._viv_give_frame(this.#handle, at, length));
  }
  takeFrames() {
    this.#module._viv_take_frames(this.#handle);
    const all = this.#bytes();
    const view = new DataView(all.buffer);
    const frames = [];
    for (let at = 0, size; at < all.length; at += 4 + size) frames.push(all.subarray(at + 4, at + 4 + (size = view.getUint32(at, true))));
    return frames;
  }

  // Calls use(place, length) with a copy of the bytes in the module's memory.
  #with(bytes, use) {
    const place = this.#module._malloc(Math.max(bytes.length, 1)) >>> 0;
    if (place === 0) throw new OutOfMemoryError("the engine has no memory left; close other tabs");
    try {
      this.#module.HEAPU8.set(bytes, place);
      return use(place, bytes.length);
    } finally {
      this.#module._free(place);
    }
  }
  #bytes() {
    const place = this.#module._viv_text(this.#handle) >>> 0;
    return this.#module.HEAPU8.slice(place, place + this.#module._viv_text_size(this.#handle));
  }
  #text() {
    return decoder.decode(this.#bytes());
  }
}
