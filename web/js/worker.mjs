// A worker that is one machine. The page posts one of
//   {do: "start", description, files: {name: url}}, {do: "open", url} or {do: "open", blob}, with wishes: {jit, jitCache},
// and later  {do: "type", input}, {do: "qmp", text}, {do: "save"}, {do: "stop"}
// and hears {event: "progress", name, loaded, total}, {event: "started"}, {event: "output", bytes}, {event: "qmp", text},
// {event: "saved", blob} or {event: "unsaved", message}, {event: "ended", exitCode} and {event: "failed", message}, after which
// nothing more comes.

import factory from "./vivarium.mjs";
import { loadEngine } from "./engine.mjs";
import { openSaved } from "./opening.mjs";
import { Slices } from "./slices.mjs";

let machine;
let slices;
let arrival; // of a published machine

function fail(error) {
  postMessage({ event: "failed", message: error instanceof Error ? error.message : String(error) });
  slices?.stop();
  close();
}

// The file's bytes in the order in which they come, and how many there will be.
async function fetchFile(name, url) {
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

async function bytesOf(name, url) {
  const { size, chunks } = await fetchFile(name, url);
  const bytes = new Uint8Array(size);
  let done = 0;
  for await (const chunk of chunks) {
    if (done + chunk.length > size) throw new Error(`${name}: ${url} is longer than the server has announced`);
    bytes.set(chunk, done);
    done += chunk.length;
  }
  if (done !== size) throw new Error(`${name}: ${url} came cut short`);
  return bytes;
}

function afterSlice(ended) {
  const bytes = machine.takeOutput();
  if (bytes.length > 0) postMessage({ event: "output", bytes }, [bytes.buffer]);
  const text = machine.takeEvents();
  if (text) postMessage({ event: "qmp", text });
  arrival?.look();
  if (!ended) return;
  if (machine.problem) {
    const error = new Error(machine.problem);
    // It may be what was kept.
    return void (arrival?.forget() ?? Promise.resolve()).then(() => fail(error));
  }
  postMessage({ event: "ended", exitCode: machine.exitCode });
  close();
}

async function makeMachine() {
  const engine = await loadEngine(factory, { onAbort: (reason) => fail(new Error(`the engine has stopped: ${reason}`)) });
  return (machine = engine.createMachine());
}

function run() {
  slices = new Slices(machine, afterSlice);
  postMessage({ event: "started" });
  slices.start();
}

async function start({ description, files }) {
  await makeMachine();
  for (const [name, url] of Object.entries(files)) {
    const { size, chunks } = await fetchFile(name, url);
    await machine.addFile(name, chunks, size);
  }
  machine.start(description);
  run();
}

async function open(request) {
  const made = makeMachine();
  arrival = await openSaved(request, made, (url) => bytesOf("the saved machine", url));
  run();
}

function save() {
  machine.save().then((blob) => postMessage({ event: "saved", blob }),
    (error) => postMessage({ event: "unsaved", message: error.message }));
}

onmessage = ({ data }) => {
  try {
    if (data.do === "start") return void start(data).catch(fail);
    if (data.do === "open") return void open(data).catch(fail);
    if (data.do === "stop") return close();
    if (!slices) throw new Error(`${data.do}: the machine has not been started`);
    if (data.do === "type") machine.type(data.input);
    else if (data.do === "qmp") postMessage({ event: "qmp", text: machine.qmp(data.text) });
    else if (data.do === "save") save();
    else throw new Error(`${data.do}: is nothing that a machine can do`);
    slices.wake();
  } catch (error) {
    fail(error);
  }
};
