// The page of one machine: its serial console as plain text, keys typed while it has the focus.
// ?guest=NAME names the guest, whose folder on the server has guest.json, and ?autostart starts it at once.

const status = document.querySelector("#status");
const screen = document.querySelector("#console");
const button = document.querySelector("#start");
const wanted = new URLSearchParams(location.search);
const keys = { Enter: "\r", Backspace: "\x7f", Tab: "\t", Escape: "\x1b", ArrowUp: "\x1b[A", ArrowDown: "\x1b[B",
  ArrowRight: "\x1b[C", ArrowLeft: "\x1b[D", Home: "\x1b[H", End: "\x1b[F", Delete: "\x1b[3~" };
const longest = 200_000; // characters that are kept

let worker;

function show(text) {
  // Without a terminal its control sequences, returns and steps back are noise.
  const plain = text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "").replace(/\r/g, "");
  let all = screen.textContent;
  for (const character of plain) all = character === "\b" ? all.slice(0, -1) : all + character;
  screen.textContent = all.slice(-longest);
  scrollTo(0, document.body.scrollHeight);
}

async function start() {
  button.disabled = true;
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
  const decoder = new TextDecoder();
  worker = new Worker(new URL("worker.mjs", import.meta.url), { type: "module" });
  worker.onerror = (event) => (status.textContent = `The worker could not be started: ${event.message ?? "no message"}`);
  worker.onmessage = ({ data }) => {
    if (data.event === "progress") status.textContent = `${data.name}: ${Math.round((100 * data.loaded) / data.total)} %`;
    if (data.event === "started") status.textContent = `${name} is running`;
    if (data.event === "output") show(decoder.decode(data.bytes, { stream: true }));
    if (data.event === "ended") status.textContent = `${name} has powered off with code ${data.exitCode}`;
    if (data.event === "failed") status.textContent = `${name} has stopped: ${data.message}`;
  };
  worker.postMessage({ do: "start", description: { ...description, name }, files });
  screen.focus();
}

function type(input) {
  worker?.postMessage({ do: "type", input });
}

button.onclick = start;
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
if (wanted.has("autostart")) start();
