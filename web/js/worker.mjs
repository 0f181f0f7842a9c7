// A worker that is one machine. The page posts
//   {do: "start", description, files: {name: url}}  and later  {do: "type", input}, {do: "qmp", text}, {do: "stop"}
// and hears {event: "progress", name, loaded, total}, {event: "started"}, {event: "output", bytes}, {event: "qmp", text},
// {event: "ended", exitCode} and {event: "failed", message}, after which nothing more comes.

import factory from "./vivarium.mjs";
import { loadEngine } from "./engine.mjs";
import { Slices } from "./slices.mjs";

let machine;
let slices;

function fail(error) {
  postMessage({ event: "failed", message: error instanceof Error ? error.message : String(error) });
  slices?.stop();
  close();
}

// The file's bytes in the order in which they come, and how many there will be.
async function open(name, url) {
  let answer;
  try {
    answer = await fetch(url);
  } catch (error) {
    throw new Error(`${name}: ${url} cannot be fetched: ${error.message}`);
  }
  if (!answer.ok) throw new Error(`${name}: ${url} cannot be fetched: the server says ${answer.status}`);
  const total = Number(answer.headers.get("content-length"));
  // Compressed on the way, or of unknown length: the length announced is not that of the bytes.
  if (!total || answer.headers.get("content-encoding")) {
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return { size: bytes.length, chunks: [bytes] };
  }
  return { size: total, chunks: progress(name, answer.body.getReader(), total) };
}

async function* progress(name, reader, total) {
  for (let loaded = 0, next = await reader.read(); !next.done; next = await reader.read()) {
    loaded += next.value.length;
    postMessage({ event: "progress", name, loaded, total });
    yield next.value;
  }
}

function afterSlice(ended) {
  const bytes = machine.takeOutput();
  if (bytes.length > 0) postMessage({ event: "output", bytes }, [bytes.buffer]);
  const text = machine.takeEvents();
  if (text) postMessage({ event: "qmp", text });
  if (!ended) return;
  postMessage({ event: "ended", exitCode: machine.exitCode });
  close();
}

async function start({ description, files }) {
  const engine = await loadEngine(factory, { onAbort: (reason) => fail(new Error(`the engine has stopped: ${reason}`)) });
  machine = engine.createMachine();
  for (const [name, url] of Object.entries(files)) {
    const { size, chunks } = await open(name, url);
    await machine.addFile(name, chunks, size);
  }
  machine.start(description);
  slices = new Slices(machine, afterSlice);
  postMessage({ event: "started" });
  slices.start();
}

onmessage = ({ data }) => {
  try {
    if (data.do === "start") return void start(data).catch(fail);
    if (data.do === "stop") return close();
    if (!slices) throw new Error(`${data.do}: the machine has not been started`);
    if (data.do === "type") machine.type(data.input);
    else if (data.do === "qmp") postMessage({ event: "qmp", text: machine.qmp(data.text) });
    else throw new Error(`${data.do}: is nothing that a machine can do`);
    slices.wake();
  } catch (error) {
    fail(error);
  }
};
