// What saved machines are read from: bytes that are there, and chunks behind a URL. See look() in engine.mjs.
// Promises: works in a worker and, but for fetching, in Node; chunks are what the server or the pack gives, and checked by the
// engine.

// A file that is there as a Uint8Array; `chunks` has chunk(), if it is a published machine's index.
export class BytesSource {
  #bytes;
  #chunks;

  constructor(bytes, chunks) {
    this.#bytes = bytes;
    this.#chunks = chunks;
  }
  get size() {
    return this.#bytes.length;
  }
  read(offset, into) {
    into.set(this.#bytes.subarray(offset, offset + into.length));
  }
  chunk(name, into) {
    if (!this.#chunks) throw new Error("this is a part of a published machine; give its URL instead");
    this.#chunks.chunk(name, into);
  }
}

// Where a chunk lies, seen from the folder of the index.
export const chunkPath = (name) => `chunks/${name.slice(0, 2)}/${name}`;

// Packs are chunks in the order in which a machine has asked for them first: NAME.first beside a published index (`viv publish`
// writes it), and what a browser keeps of an opening. A magic number, then for each the digits of its name as 16 bytes, the last
// first; u32 its size, little endian; its bytes (native/arrival.cpp). What comes after something that cannot be is left out.
const magic = new TextEncoder().encode("VIVCHNK1");
const recordHead = 20;
const longestPack = 1024; // chunks: a machine that ran for long has asked for all there is, which is no order worth keeping

export function* unpack(pack) {
  if (!magic.every((byte, i) => pack[i] === byte)) return;
  const view = new DataView(pack.buffer, pack.byteOffset, pack.byteLength);
  for (let at = magic.length; at + recordHead <= pack.length; ) {
    const size = view.getUint32(at + 16, true);
    const start = at + recordHead;
    if (size > pack.length - start) return;
    let name = "";
    for (let i = 15; i >= 0; i--) name += pack[at + i].toString(16).padStart(2, "0");
    yield { name, bytes: pack.subarray(start, start + size) };
    at = start + size;
  }
}

export function pack(chunks) {
  const all = new Uint8Array(chunks.reduce((sum, { bytes }) => sum + recordHead + bytes.length, magic.length));
  all.set(magic);
  const view = new DataView(all.buffer);
  let at = magic.length;
  for (const { name, bytes } of chunks) {
    for (let i = 0; i < 16; i++) all[at + 15 - i] = Number.parseInt(name.slice(2 * i, 2 * i + 2), 16);
    view.setUint32(at + 16, bytes.length, true);
    all.set(bytes, at + recordHead);
    at += recordHead + bytes.length;
  }
  return all;
}

// Bytes behind a URL while everything waits: the only way to wait in a worker without memory that is shared.
export function fetchNow(url) {
  const request = new XMLHttpRequest();
  request.open("GET", url, false);
  request.responseType = "arraybuffer";
  try {
    request.send();
  } catch {
    throw new Error(`${url}: cannot be fetched`);
  }
  if (request.status !== 200) throw new Error(`${url}: cannot be fetched: the server says ${request.status}`);
  return new Uint8Array(request.response);
}

// Chunks behind a URL, for workers. One that is not there yet is fetched while everything waits.
export class ChunksByUrl {
  #folder;
  #here = new Map();
  #asked = new Map();

  constructor(index) {
    this.#folder = new URL(".", index);
  }

  // Chunks that need not be fetched.
  bring(pack) {
    for (const { name, bytes } of unpack(pack)) this.#here.set(name, bytes);
  }
  // The first ones that were asked for, in that order.
  get asked() {
    return this.#asked.size;
  }
  packAsked() {
    return pack([...this.#asked].map(([name, bytes]) => ({ name, bytes })));
  }

  chunk(name, into) {
    const bytes = this.#here.get(name) ?? fetchNow(this.#url(name));
    this.#here.delete(name);
    if (bytes.length !== into.length) throw new Error(`${this.#url(name)}: has another size than it should`);
    into.set(bytes);
    if (this.#asked.size < longestPack) this.#asked.set(name, bytes);
  }

  #url(name) {
    return new URL(chunkPath(name), this.#folder).href;
  }
}
