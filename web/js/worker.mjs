// A worker that is one machine, of a browser or of Node; index.mjs is its other end. It is posted one of
//   {do: "start", description, files: {name: URL or Uint8Array}, disks: [{url, overlay, readOnly}]}, {do: "open", url} or {do: "open", blob}, with wishes: {jit, jitCache, ports,
//   net}; each with net: [URL of a relay's room], if the machine's card leads there,
// and later  {do: "type", input, stream}, {do: "qmp", text}, {do: "save"}, {do: "pause"}, {do: "resume"}, {do: "reset"},
// {do: "offer", protocol, url} (a tunnel's end for clients of the machine's; without a URL: no longer)
// and tells  {event: "progress", name, loaded, total}, {event: "started", ports: [boolean]} (which of the ports asked for exist),
// {event: "output", bytes}, {event: "port", stream, open, bytes}, {event: "qmp", text}, {event: "saved", blob} or
// {event: "unsaved", error}, {event: "relay", of: "net" or a protocol, connected, problem}, {event: "ended", exitCode} and {event: "failed", error}, after which nothing more comes. Errors are
// as packError() of errors.mjs makes them.

import { openDisks } from "./disks.mjs";
import { loadEngine } from "./engine.mjs";
import { MachineError, OutOfMemoryError, packError } from "./errors.mjs";
import { fetchBytes, fetchFile } from "./fetching.mjs";
import { Network } from "./network.mjs";
import { Offers } from "./offers.mjs";
import { openSaved } from "./opening.mjs";
import { Slices } from "./slices.mjs";
import factory from "./vivarium.mjs";

const outside = globalThis.process?.versions?.node ? (await import("node:worker_threads")).parentPort : globalThis;
let machine;
let slices;
let arrivals = []; // of a published machine, or of disks
let network;
let offers;
let over = false;
const portsOpen = []; // by number of the stream, less 1

const tell = (message, transfer) => outside.postMessage(message, transfer);
const progress = (how) => tell({ event: "progress", ...how });

function end(message) {
  if (over) return;
  over = true;
  tell(message);
  slices?.stop();
  network?.stop();
  offers?.stop();
}
const wake = () => slices?.wake();
const tellOfRelay = (of) => (connected, problem) => tell({ event: "relay", of, connected, problem });
const fail = (error) => end({ event: "failed", error: packError(error) });

function tellOfPort(stream) {
  const { open, bytes } = machine.takePort(stream);
  if (bytes.length === 0 && open === portsOpen[stream - 1]) return;
  portsOpen[stream - 1] = open;
  tell({ event: "port", stream, open, bytes }, [bytes.buffer]);
}

function afterSlice(ended) {
  const bytes = machine.takeOutput();
  if (bytes.length > 0) tell({ event: "output", bytes }, [bytes.buffer]);
  portsOpen.forEach((_, index) => tellOfPort(index + 1));
  const text = machine.takeEvents();
  if (text) tell({ event: "qmp", text });
  network?.service();
  offers.service();
  for (const arrival of arrivals) arrival.look();
  if (!ended) return;
  if (!machine.problem) return end({ event: "ended", exitCode: machine.exitCode });
  const error = new MachineError(machine.problem);
  // It may be what was kept.
  Promise.all(arrivals.map((arrival) => arrival.forget())).then(() => fail(error));
}

async function makeMachine() {
  const Kind = (reason) => (/memory|oom/i.test(reason) ? OutOfMemoryError : MachineError);
  const engine = await loadEngine(factory, { onAbort: (reason) => fail(new (Kind(reason))(`the engine has stopped: ${reason}`)) });
  return (machine = engine.createMachine());
}

function run(ports = [], urls) {
  const exist = ports.map((_, index) => machine.takePort(index + 1).exists);
  portsOpen.push(...ports.map(() => false));
  if (urls) network = new Network(machine, urls, wake, tellOfRelay("net"));
  offers = new Offers(machine, wake, tellOfRelay);
  slices = new Slices(machine, (ended) => {
    try {
      afterSlice(ended);
    } catch (error) {
      fail(error);
    }
  });
  tell({ event: "started", ports: exist });
  slices.start();
}

async function start({ description, files, disks = [], net }) {
  await makeMachine();
  const fetchIndex = (url) => fetchBytes("the disk", url, progress);
  const opened = await openDisks(disks, machine, fetchIndex, wake);
  if (disks.length > 0) description.disks = opened.described;
  arrivals = opened.arrivals;
  for (const [name, where] of Object.entries(files)) {
    const { size, chunks } = where instanceof Uint8Array ? { size: where.length, chunks: where } : await fetchFile(name, where, progress);
    await machine.addFile(name, chunks, size);
  }
  machine.start(description);
  run(description.ports, net);
}

async function open(request) {
  const made = makeMachine();
  const arrival = await openSaved(request, made, (url) => fetchBytes("the saved machine", url, progress));
  if (arrival) arrivals = [arrival];
  run(request.wishes?.ports, request.net);
}

function save() {
  machine.save().then((blob) => tell({ event: "saved", blob }), (error) => tell({ event: "unsaved", error: packError(error) }));
}

outside.onmessage = ({ data }) => {
  try {
    if (data.do === "start") return void start(data).catch(fail);
    if (data.do === "open") return void open(data).catch(fail);
    if (!slices) throw new MachineError(`${data.do}: the machine has not been started`);
    if (data.do === "type") machine.type(data.input, data.stream);
    else if (data.do === "qmp") tell({ event: "qmp", text: machine.qmp(data.text) });
    else if (data.do === "save") save();
    else if (data.do === "offer") offers.set(data.protocol, data.url);
    else if (["pause", "resume", "reset"].includes(data.do)) machine[data.do]();
    else throw new MachineError(`${data.do}: is nothing that a machine can do`);
    slices.wake();
  } catch (error) {
    fail(error);
  }
};
