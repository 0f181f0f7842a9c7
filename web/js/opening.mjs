// Opening a saved machine in a worker: its bytes, or the index of a published one with what it will ask for first.
// Promises: what is kept of an earlier opening, or published beside the machine, makes it quicker and nothing else; what is
// wrong is an Error with one line.

import * as kept from "./kept.mjs";
import { BytesSource, ChunksByUrl } from "./sources.mjs";

const pause = 2000; // milliseconds between two writings of what a machine has asked for

// Writes down what a published machine asks for while it does, for the next opening; by its URL, so that a site keeps one for
// each of its machines, with the identity of what was there.
export class Arrival {
  #index;
  #identity;
  #chunks;
  #written;
  #next = 0;

  constructor(index, identity, chunks, written) {
    this.#index = index;
    this.#identity = identity;
    this.#chunks = chunks;
    this.#written = written;
  }
  look() {
    if (this.#chunks.asked <= this.#written || performance.now() < this.#next) return;
    this.#written = this.#chunks.asked;
    this.#next = performance.now() + pause;
    const facts = { identity: this.#identity, count: this.#written };
    // Where that fails the next opening is slower, and that is all.
    kept.put("arrivals", this.#index, this.#chunks.packAsked(), facts).catch(() => {});
  }
  forget() {
    return kept.forget("arrivals", this.#index).catch(() => {});
  }
}

export const bytesIn = async (blob) => new Uint8Array(await blob.arrayBuffer());

async function firstChunks(index) {
  const answer = await fetch(index.replace(/\.viv$/, ".first"));
  return answer.ok ? bytesIn(answer) : undefined;
}

// Opens the machine of `blob` or of `url`, an absolute one, and returns the Arrival of a published one. fetchBytes(url) gives
// the bytes behind a URL; `made` is a promise of the machine.
export async function openSaved({ url, blob, wishes = {} }, made, fetchBytes) {
  if (blob) {
    const bytes = await bytesIn(blob);
    const machine = await made;
    machine.look(new BytesSource(bytes));
    machine.open(wishes);
    return undefined;
  }
  const index = url.endsWith("/") ? `${url}machine.viv` : url;
  const early = kept.get("arrivals", index);
  const bytes = await fetchBytes(index);
  const chunks = new ChunksByUrl(index);
  const machine = await made;
  const { identity, isPublished } = machine.look(new BytesSource(bytes, chunks));
  if (!isPublished) {
    machine.open(wishes);
    return undefined;
  }
  const before = await early;
  const fits = before?.about.identity === identity;
  const first = await (fits ? before.blob().then(bytesIn) : firstChunks(index)).catch(() => undefined);
  if (first) chunks.bring(first);
  const arrival = new Arrival(index, identity, chunks, fits ? before.about.count : 0);
  try {
    machine.open(wishes);
  } catch (error) {
    await arrival.forget();
    throw error;
  }
  return arrival;
}
