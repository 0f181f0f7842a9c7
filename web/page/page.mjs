// The page of one machine: its serial console as plain text, keys typed while it has the focus.
// ?guest=NAME names the guest, whose folder on the server has guest.json, and ?autostart starts it at once. ?restore=URL opens
// a saved machine instead, a file or (with a slash at its end, or by its index) a published one. ?cmd=TEXT is typed then, as a line.

import * as kept from "./kept.mjs";

const element = (id) => document.querySelector(`#${id}`);
const status = element("status");
const screen = element("console");
const starters = ["start", "open", "reopen"].map(element);
const savers = ["save", "keep"].map(element);
const wanted = new URLSearchParams(location.search);
const keys = { Enter: "\r", Backspace: "\x7f", Tab: "\t", Escape: "\x1b", ArrowUp: "\x1b[A", ArrowDown: "\x1b[B",
  ArrowRight: "\x1b[C", ArrowLeft: "\x1b[D", Home: "\x1b[H", End: "\x1b[F", Delete: "\x1b[3~" };
const longest = 200_000; // characters that are kept

let worker;
let use; // of the next saved machine: a function of its Blob

function show(text) {
  // Without a terminal its control sequences, returns and steps back are noise.
  const plain = text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "").replace(/\r/g, "");
  let all = screen.textContent;
  for (const character of plain) all = character === "\b" ? all.slice(0, -1) : all + character;
  screen.textContent = all.slice(-longest);
  scrollTo(0, document.body.scrollHeight);
}

// Makes the worker and posts `request` to it.
function run(name, request) {
  for (const button of starters) button.disabled = true;
  const decoder = new TextDecoder();
  const say = (text) => (status.textContent = text);
  const over = (text) => {
    for (const button of savers) button.disabled = true;
    worker = undefined;
    say(text);
  };
  worker = new Worker(new URL("worker.mjs", import.meta.url), { type: "module" });
  worker.onerror = (event) => say(`The worker could not be started: ${event.message ?? "no message"}`);
  worker.onmessage = ({ data }) => {
    if (data.event === "progress") say(`${data.name}: ${Math.round((100 * data.loaded) / data.total)} %`);
    if (data.event === "started") {
      for (const button of savers) button.disabled = false;
      say(`${name} is running`);
      if (wanted.has("cmd")) type(`${wanted.get("cmd")}\r`);
    }
    if (data.event === "output") show(decoder.decode(data.bytes, { stream: true }));
    if (data.event === "saved") use(data.blob);
    if (data.event === "unsaved" && worker) saved(`${name} was not saved: ${data.message}`);
    if (data.event === "ended") over(`${name} has powered off with code ${data.exitCode}`);
    if (data.event === "failed") over(`${name} has stopped: ${data.message}`);
  };
  worker.postMessage(request);
  screen.focus();
}

async function start() {
  for (const button of starters) button.disabled = true;
  const name = wanted.get("guest") ?? "linux-riscv64";
  const folder = new URL(`guests/${encodeURIComponent(name)}/`, location.href);
  const answer = await fetch(new URL("guest.json", folder)).catch(() => undefined);
  if (!answer?.ok) {
    status.textContent = `${name}: there is no such guest on this server`;
    return;
  }
  const description = await answer.json();
  const files = {};
  for (const file of ["kernel", "initrd", "bios"])
    if (description[file]) files[description[file]] = new URL(description[file], folder).href;
  run(name, { do: "start", description: { ...description, name }, files });
}

function save(then) {
  for (const button of savers) button.disabled = true;
  status.textContent = "Saving";
  use = then;
  worker.postMessage({ do: "save" });
}
function saved(text) {
  for (const button of savers) button.disabled = false;
  status.textContent = text;
  screen.focus();
}
const megabytes = (blob) => `${(blob.size / 1e6).toFixed(1)} MB`;

function download(blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = "machine.viv";
  link.click();
  // The browser has its own hold of it once the download has begun, of which the page is not told.
  addEventListener("pagehide", () => URL.revokeObjectURL(link.href));
  saved(`Saved as ${link.download}: ${megabytes(blob)}`);
}

async function keep(blob) {
  try {
    await kept.put("machines", "machine", blob);
    saved(`Kept in this browser: ${megabytes(blob)}`);
  } catch (error) {
    saved(`Not kept: ${error.message}`);
  }
}

function type(input) {
  worker?.postMessage({ do: "type", input });
}

element("start").onclick = start;
element("open").onclick = () => element("file").click();
element("file").onchange = ({ target }) => target.files[0] && run(target.files[0].name, { do: "open", blob: target.files[0] });
element("save").onclick = () => save(download);
element("keep").onclick = () => save(keep);
screen.onkeydown = (event) => {
  if (event.metaKey || event.altKey) return;
  const control = event.ctrlKey && /^[a-z[\\\]^_@]$/i.test(event.key);
  if (event.ctrlKey && !control) return;
  const input = control ? String.fromCharCode(event.key.toUpperCase().charCodeAt(0) & 0x1f) :
    keys[event.key] ?? ([...event.key].length === 1 ? event.key : "");
  if (!input) return;
  event.preventDefault();
  type(input);
};
screen.onpaste = (event) => type(event.clipboardData.getData("text").replace(/\n/g, "\r"));
if (wanted.has("restore")) {
  const { href } = new URL(wanted.get("restore"), location.href);
  run(href, { do: "open", url: href });
} else if (wanted.has("autostart")) {
  start();
}
const machine = await kept.get("machines", "machine");
element("reopen").hidden = !machine;
element("reopen").onclick = async () => run("The kept machine", { do: "open", blob: await machine.blob() });
