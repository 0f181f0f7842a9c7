// The page of one machine: its serial console as plain text, keys typed while it has the focus.
// ?guest=NAME names the guest, whose folder on the server has guest.json, and ?autostart starts it at once. ?restore=URL opens
// a saved machine instead, a file or (with a slash at its end, or by its index) a published one. ?cmd=TEXT is typed when the
// guest waits for a user, as a line.

import { Vivarium } from "./vivarium/index.mjs";
import * as kept from "./vivarium/kept.mjs";

const element = (id) => document.querySelector(`#${id}`);
const status = element("status");
const screen = element("console");
const starters = ["start", "open", "reopen"].map(element);
const savers = ["save", "keep"].map(element);
const wanted = new URLSearchParams(location.search);
const keys = { Enter: "\r", Backspace: "\x7f", Tab: "\t", Escape: "\x1b", ArrowUp: "\x1b[A", ArrowDown: "\x1b[B",
  ArrowRight: "\x1b[C", ArrowLeft: "\x1b[D", Home: "\x1b[H", End: "\x1b[F", Delete: "\x1b[3~" };
const longest = 200_000; // characters that are kept

let vm;

function show(text) {
  // Without a terminal its control sequences, returns and steps back are noise.
  const plain = text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "").replace(/\r/g, "");
  let all = screen.textContent;
  for (const character of plain) all = character === "\b" ? all.slice(0, -1) : all + character;
  screen.textContent = all.slice(-longest);
  scrollTo(0, document.body.scrollHeight);
}

// Starts a machine by the package's API.
async function run(name, options) {
  for (const button of starters) button.disabled = true;
  const decoder = new TextDecoder();
  const say = (text) => (status.textContent = text);
  const over = (text) => {
    for (const button of savers) button.disabled = true;
    vm = undefined;
    say(text);
  };
  screen.focus();
  try {
    vm = await Vivarium.start({
      ...options,
      type: wanted.has("cmd") ? `${wanted.get("cmd")}\r` : undefined,
      onProgress: ({ name: file, loaded, total }) => say(`${file}: ${Math.round((100 * loaded) / total)} %`),
      onSerial: (bytes) => show(decoder.decode(bytes, { stream: true })),
    });
  } catch (error) {
    return over(`${name} has stopped: ${error.message}`);
  }
  vm.on("error", (error) => over(`${name} has stopped: ${error.message}`));
  vm.on("state", (state) => state === "off" && over(`${name} has powered off with code ${vm.exitCode}`));
  for (const button of savers) button.disabled = false;
  say(`${name} is running`);
}

function start() {
  const guest = wanted.get("guest") ?? "linux-riscv64";
  return run(guest, { guest });
}

async function save(use) {
  for (const button of savers) button.disabled = true;
  status.textContent = "Saving";
  try {
    saved(await use(await vm.save()));
  } catch (error) {
    if (vm) saved(error.message);
  }
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
  return `Saved as ${link.download}: ${megabytes(blob)}`;
}

async function keep(blob) {
  await kept.put("machines", "machine", blob);
  return `Kept in this browser: ${megabytes(blob)}`;
}

function type(input) {
  vm?.serial.write(input);
}

element("start").onclick = start;
element("open").onclick = () => element("file").click();
element("file").onchange = ({ target }) => target.files[0] && run(target.files[0].name, { restore: target.files[0] });
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
  run(href, { restore: href });
} else if (wanted.has("autostart")) {
  start();
}
const machine = await kept.get("machines", "machine");
element("reopen").hidden = !machine;
element("reopen").onclick = async () => run("The kept machine", { restore: await machine.blob() });
