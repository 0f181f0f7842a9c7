// Disks behind URLs, for workers: the index of a published disk, its chunks, and the file that keeps what is written.
// Promises: the machine goes on while chunks travel; only chunks that have their hash are given to the engine or kept; lost
// connections and overloaded servers are tried again for some seconds; what is held is bounded, and so is what is kept of what
// was asked for first, which the next opening has at once; what is wrong is an Error with one line.

import { LoadError } from "./errors.mjs";
import * as kept from "./kept.mjs";
import { Arrival, bytesIn } from "./opening.mjs";
import { BytesSource, chunkPath, fetchNow, pack, unpack } from "./sources.mjs";

const mostHeld = 32 << 20; // bytes
const mostKept = 24 << 20;
const mostAsked = 1024; // chunks that are kept
const mostExpected = 24; // that are fetched before anybody waits for them
const attempts = 6;
const firstPause = 100; // milliseconds, doubled each time

const pause = (time) => new Promise((done) => setTimeout(done, time));

// What the engine reads a disk from, in the form of BytesSource with more: isThere(name, size) begins to fetch what is not.
class DiskSource extends BytesSource {
  #folder;
  #hashOf;
  #arrived;
  #here = new Map(); // the last used last
  #held = 0;
  #coming = new Map(); // of each name whether somebody waits
  #failed = new Map();
  #asked = new Map();
  #askedBytes = 0;
  store; // a FileSystemSyncAccessHandle

  constructor(url, index, hashOf, arrived) {
    super(index);
    this.#folder = new URL(".", url);
    this.#hashOf = hashOf;
    this.#arrived = arrived;
  }

  isThere(name, size) {
    if (this.#here.has(name) || this.#failed.has(name)) return true;
    const begun = this.#coming.has(name);
    this.#coming.set(name, true);
    if (!begun) this.#fetch(name, size);
    return false;
  }
  expect(name, size) {
    if (this.#here.has(name) || this.#failed.has(name) || this.#coming.has(name) || this.#coming.size >= mostExpected) return;
    this.#coming.set(name, false);
    this.#fetch(name, size);
  }
  chunk(name, size) {
    const failure = this.#failed.get(name);
    if (failure) throw failure;
    let bytes = this.#here.get(name);
    if (bytes) this.#here.delete(name);
    else {
      bytes = this.#checked(name, fetchNow(this.#url(name)));
      this.#held += bytes.length;
    }
    this.#here.set(name, bytes);
    this.#makeRoom();
    if (bytes.length !== size) throw new Error(`${this.#url(name)}: has another size than it should`);
    if (!this.#asked.has(name) && this.#asked.size < mostAsked && this.#askedBytes + size <= mostKept) {
      this.#asked.set(name, bytes);
      this.#askedBytes += size;
    }
    return bytes;
  }
  forgetFailures() {
    this.#failed.clear();
  }

  // For Arrival: what was asked for first, and what of it an earlier opening had.
  get asked() {
    return this.#asked.size;
  }
  packAsked() {
    return pack([...this.#asked].map(([name, bytes]) => ({ name, bytes })));
  }
  bring(packed) {
    for (const { name, bytes } of unpack(packed)) if (this.#hashOf(bytes) === name) this.#put(name, bytes);
  }

  #url(name) {
    return new URL(chunkPath(name), this.#folder).href;
  }
  #checked(name, bytes) {
    if (this.#hashOf(bytes) !== name) throw new Error(`${this.#url(name)}: fails its check`);
    return bytes;
  }
  #put(name, bytes) {
    if (this.#here.has(name)) return;
    this.#here.set(name, bytes);
    this.#held += bytes.length;
    this.#makeRoom();
  }
  #makeRoom() {
    for (const [name, bytes] of this.#here) {
      if (this.#held <= mostHeld || this.#here.size === 1) return;
      this.#here.delete(name);
      this.#held -= bytes.length;
    }
  }
  async #fetch(name, size) {
    try {
      const bytes = this.#checked(name, await this.#fetchPatiently(name, size));
      this.#put(name, bytes);
    } catch (error) {
      // Whoever wants what was only expected shall find out.
      if (this.#coming.get(name)) {
        this.#failed.set(name, error);
        console.warn(`${error.message}; the guest gets an I/O error`);
      }
    }
    const waited = this.#coming.get(name);
    this.#coming.delete(name);
    if (waited) this.#arrived();
  }
  async #fetchPatiently(name, size) {
    const url = this.#url(name);
    for (let attempt = 1, time = firstPause; ; attempt++, time *= 2) {
      let problem = "cannot be fetched";
      try {
        const answer = await fetch(url);
        if (answer.ok) {
          const length = Number(answer.headers.get("content-length") ?? size);
          if (length > size && !answer.headers.has("content-encoding")) throw new RangeError("has another size than it should");
          return await bytesIn(answer);
        }
        problem = `the server says ${answer.status}`;
        if (answer.status !== 429 && answer.status < 500) throw new RangeError(problem);
      } catch (error) {
        if (error instanceof RangeError) throw new Error(`${url}: ${error.message}`);
      }
      if (attempt === attempts) throw new Error(`${url}: ${problem}`);
      await pause(time);
    }
  }
}

// A file of this site by its name, for one page at a time. One that was left by a page that is going is waited for.
async function openStore(name) {
  const wrong = (why) => new LoadError(`disks: overlay ${name}: ${why}`);
  if (!globalThis.navigator?.storage?.getDirectory || !navigator.locks) throw wrong("only sites with https may have anything kept");
  const mine = await new Promise((done) => {
    const held = () => (done(true), new Promise(() => {})); // for as long as this worker lives
    navigator.locks.request(`vivarium overlay ${name}`, { signal: AbortSignal.timeout(5000) }, held).catch(() => done(false));
  });
  if (!mine) throw wrong("another page is using it; close that");
  try {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("vivarium", { create: true });
    return await (await folder.getFileHandle(name, { create: true })).createSyncAccessHandle();
  } catch (error) {
    throw wrong(`the browser does not open it: ${error.message}`);
  }
}

// Disks as index.d.ts describes them, with absolute URLs. `machine` is one of engine.mjs; arrived() is called when a guest's
// request may go on. Returns {described, arrivals}: the description's `disks`, and what is to be asked to look() after slices.
export async function openDisks(disks, machine, fetchBytes, arrived) {
  const described = [];
  const arrivals = [];
  for (const { url, overlay, readOnly = false } of disks) {
    const early = kept.get("arrivals", url);
    const index = await fetchBytes(url);
    const identity = machine.hashOf(index);
    let number = 0;
    const source = new DiskSource(url, index, (bytes) => machine.hashOf(bytes), () => {
      machine.diskArrived(number);
      arrived();
    });
    const before = await early;
    const fits = before?.about.identity === identity;
    const first = fits && (await before.blob().then(bytesIn).catch(() => undefined));
    if (first) source.bring(first);
    if (overlay !== undefined && !readOnly) source.store = await openStore(overlay);
    arrivals.push(new Arrival(url, identity, source, fits ? before.about.count : 0));
    number = machine.addSource(source);
    described.push({ source: number, url, kept: source.store !== undefined, readOnly });
  }
  return { described, arrivals };
}
