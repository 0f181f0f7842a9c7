// What the browser keeps for this site from one visit to the next: machines that were kept, by a name, and what published ones
// have asked for when they were opened, by URL (opening.mjs). In its Cache Storage, as answers to requests that nobody makes:
// unlike a database, that makes no page wait for another, which may be frozen in the middle of something.
// Promises: where the browser keeps nothing (a private window, a site without https), get() finds nothing, and put() throws one
// line.

const place = (store, key) => new URL(`kept/${store}/${encodeURIComponent(key)}`, import.meta.url);
const about = "x-vivarium-about";

async function storage() {
  if (!globalThis.caches) throw new Error("only sites with https may have anything kept");
  return caches.open("vivarium");
}

// {about, blob()}: what was put there, the bytes on demand.
export async function get(store, key) {
  try {
    const answer = await (await storage()).match(place(store, key));
    return answer && { about: JSON.parse(answer.headers.get(about)), blob: () => answer.blob() };
  } catch {
    return undefined;
  }
}

// `content` is a Blob or a Uint8Array, `facts` an object of numbers and plain words.
export async function put(store, key, content, facts = {}) {
  try {
    await (await storage()).put(place(store, key), new Response(content, { headers: { [about]: JSON.stringify(facts) } }));
  } catch (error) {
    throw new Error(`the browser does not keep it: ${error?.message ?? "it gives no reason"}`);
  }
}

export async function forget(store, key) {
  await (await storage()).delete(place(store, key));
}
