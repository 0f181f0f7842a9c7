// Files from a server, or from the disk where the package runs under Node.
// Promises: what cannot be had, or is a web page where a file was meant, is a LoadError with one line that names the URL.

import { LoadError } from "./errors.mjs";

async function answerOf(name, url) {
  if (url.startsWith("file:")) {
    const { readFile } = await import("node:fs/promises");
    try {
      return new Response(await readFile(new URL(url)));
    } catch (error) {
      throw new LoadError(`${name}: ${url} cannot be read: ${error.code}`);
    }
  }
  let answer;
  try {
    answer = await fetch(url);
  } catch (error) {
    throw new LoadError(`${name}: ${url} cannot be fetched: ${error.message}`);
  }
  if (!answer.ok) throw new LoadError(`${name}: ${url} cannot be fetched: the server says ${answer.status}`);
  // Many servers answer any address with their front page.
  const type = answer.headers.get("content-type") ?? "";
  if (type.startsWith("text/html")) throw new LoadError(`${name}: ${url} is a web page (${type}), not the file; is it the right address?`);
  return answer;
}

// The file's bytes in the order in which they come, and how many there will be. progress({name, loaded, total}) is told
// of them.
export async function fetchFile(name, url, progress) {
  const answer = await answerOf(name, url);
  const total = Number(answer.headers.get("content-length"));
  // Compressed on the way, or of unknown length: the length announced is not that of the bytes.
  if (!total || answer.headers.get("content-encoding")) {
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return { size: bytes.length, chunks: [bytes] };
  }
  return { size: total, chunks: counted(name, answer.body.getReader(), total, progress) };
}

async function* counted(name, reader, total, progress) {
  for (let loaded = 0, next = await reader.read(); !next.done; next = await reader.read()) {
    loaded += next.value.length;
    progress({ name, loaded, total });
    yield next.value;
  }
}

export async function fetchBytes(name, url, progress) {
  const { size, chunks } = await fetchFile(name, url, progress);
  const bytes = new Uint8Array(size);
  let done = 0;
  for await (const chunk of chunks) {
    if (done + chunk.length > size) throw new LoadError(`${name}: ${url} is longer than the server has announced`);
    bytes.set(chunk, done);
    done += chunk.length;
  }
  if (done !== size) throw new LoadError(`${name}: ${url} came cut short`);
  return bytes;
}

export async function fetchJson(name, url) {
  const answer = await answerOf(name, url);
  try {
    return await answer.json();
  } catch {
    throw new LoadError(`${name}: ${url} is not JSON`);
  }
}
