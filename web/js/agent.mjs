// The host's side of the guest agent's protocol: programs run in the guest, files copied in and out. guests/agent/PROTOCOL.md.
// Promises: operations wait until the agent is there; what the guest may send is bounded by the credit that it was given;
// what goes wrong is an AgentError with one line, and an operation under way when the agent goes fails with one.

import { AgentError } from "./errors.mjs";
import { costsCredit, FrameParser, joined, makeFrame, makePayload, PayloadReader, payloadLimit, types } from "./frames.mjs";

const magic = 0x47564956; // "VIVG"
const version = 1;
const window = 256 << 10;
const leastWindow = 65536;
const mostChannels = 32;
const encoder = new TextEncoder();

// Text from the guest as one line without control characters.
const printable = (text) => text.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ").trim();
export const bytesOf = (data) => (typeof data === "string" ? encoder.encode(data) :
  data instanceof Uint8Array ? data : new Uint8Array(data));

// What a function of the page throws is the failure of its operation, and nothing more.
function attempt(channel, call) {
  try {
    call();
  } catch (error) {
    channel.abandon(error);
  }
}

// One operation, from its first frame to its last; receive(channel, type, payload) says what its frames mean.
class Channel {
  credit;
  over = false;
  #agent;
  #number;
  #subject;
  #receive;
  #owed = window; // what the guest may still send
  #unreturned = 0;
  #settle;
  #wake = () => {};

  constructor(agent, number, credit, subject, receive) {
    this.#agent = agent;
    this.#number = number;
    this.credit = credit;
    this.#subject = subject;
    this.#receive = receive;
    this.result = new Promise((done, failed) => (this.#settle = { done, failed }));
  }
  finish(result) {
    this.over = true;
    this.#settle.done(result);
    this.#wake();
  }
  fail(error) {
    this.over = true;
    this.#settle.failed(error);
    this.#wake();
  }
  // Because of something on this side.
  abandon(error) {
    if (this.over) return;
    this.send(types.cancel);
    this.fail(error);
  }

  send(type, payload = new Uint8Array(0)) {
    if (costsCredit(type)) this.credit -= payload.length;
    this.#agent.send(makeFrame(type, this.#number, payload));
  }
  // All of the bytes, as the guest takes them. Ends early when the operation is over.
  async sendBytes(type, bytes) {
    for (let at = 0; at < bytes.length && !this.over; ) {
      const size = Math.min(bytes.length - at, this.credit, payloadLimit);
      if (size === 0) {
        await new Promise((wake) => (this.#wake = wake));
        continue;
      }
      this.send(type, bytes.subarray(at, at + size));
      at += size;
    }
  }
  hear({ type, payload }) {
    if (this.over) return;
    if (type === types.window) {
      this.credit += new PayloadReader(payload).number(4);
      return this.#wake();
    }
    if (type === types.error) {
      const reader = new PayloadReader(payload);
      reader.number(4); // the errno is in the text, too
      const said = printable(reader.string());
      return this.fail(new AgentError(said.startsWith(`${this.#subject}: `) ? said : `${this.#subject}: ${said}`));
    }
    if (costsCredit(type)) {
      this.#owed -= payload.length;
      if (this.#owed < 0) throw new AgentError("the guest's agent sends more than it may");
      this.#unreturned += payload.length;
    }
    this.#receive(this, type, payload);
    if (this.over || this.#unreturned < window / 4) return;
    this.#owed += this.#unreturned;
    this.send(types.window, makePayload([4, this.#unreturned]));
    this.#unreturned = 0;
  }
}

export class Agent {
  send;
  #parser = new FrameParser();
  #nonce = 0;
  #peerWindow = 0; // 0: there is no session
  #channels = new Map();
  #busy = 0; // channels, and those who have been let in and will have one
  #nextChannel = 0;
  #waiting = []; // for a session or a free channel
  #gone;

  // send(bytes) brings them to the agent's port.
  constructor(send) {
    this.send = send;
  }

  // Begins a session with an agent that may be running already, as that of a saved machine.
  greet() {
    this.#nonce = crypto.getRandomValues(new Uint32Array(1))[0] || 1;
    this.#peerWindow = 0;
    this.send(makeFrame(types.hello, 0, makePayload([4, magic], [2, version], [2, 0], [4, this.#nonce], [4, window])));
  }
  // What came from the port.
  receive(bytes) {
    try {
      for (const frame of this.#parser.take(bytes)) this.#hear(frame);
    } catch (error) {
      this.end(error.message); // what speaks another protocol is not talked to any more
    }
  }
  // The agent has closed its port, and may open it again.
  close(why) {
    this.#parser = new FrameParser();
    this.#lose(why);
  }
  #lose(why) {
    this.#peerWindow = 0;
    for (const channel of [...this.#channels.values()]) channel.fail(new AgentError(why));
  }
  // There will be no agent any more.
  end(why) {
    this.#gone = new AgentError(why);
    this.#lose(why);
    this.#admit();
  }

  // Runs the program `command[0]`, which is looked for in PATH, with the words behind it. Resolves when it has ended:
  // {stdout, stderr} as bytes and the exit code, 128 + n after signal n. Output that a function of its own takes is not kept.
  exec(command, { stdin = "", env = {}, cwd = "", onStdout, onStderr, signal } = {}) {
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const payload = makePayload([2, command.length], [2, variables.length], [2, 0], [2, 0], cwd, ...command, ...variables);
    if (payload.length > payloadLimit)
      return Promise.reject(new AgentError(`the command is too long: at most ${payloadLimit} bytes can be sent; write it to a file`));
    const kept = { [types.stdout]: [], [types.stderr]: [] };
    const take = { [types.stdout]: onStdout, [types.stderr]: onStderr };
    return this.#operate(command[0], signal, types.exec, payload, async (channel) => {
      await channel.sendBytes(types.stdin, bytesOf(stdin));
      if (!channel.over) channel.send(types.stdinEnd);
    }, (channel, type, bytes) => {
      if (kept[type] && !take[type]) kept[type].push(bytes.slice());
      else if (kept[type]) attempt(channel, () => take[type](bytes.slice()));
      if (type !== types.exited) return;
      const reader = new PayloadReader(bytes);
      const [how, value] = [reader.number(4), reader.number(4)];
      channel.finish({ stdout: joined(kept[types.stdout]), stderr: joined(kept[types.stderr]), code: how === 1 ? 128 + value : value });
    });
  }

  // Folders above the file are made. The file appears when it is complete.
  writeFile(path, data, { mode = 0o644, signal } = {}) {
    const bytes = bytesOf(data);
    const [milliseconds, name] = [Date.now(), path.split("/").pop()];
    const entry = makePayload([1, 1], [1, 0], [2, 0], [4, mode], [8, bytes.length], [8, Math.floor(milliseconds / 1000)],
      [4, (milliseconds % 1000) * 1e6], "", "");
    return this.#operate(path, signal, types.put, makePayload(path, name), async (channel) => {
      channel.send(types.entry, entry);
      await channel.sendBytes(types.data, bytes);
      if (!channel.over) channel.send(types.end, makePayload([4, 0], [4, 0]));
    }, (channel, type) => type === types.end && channel.finish());
  }

  readFile(path, { signal } = {}) {
    const pieces = [];
    let [kind, warning] = [0, ""];
    return this.#operate(path, signal, types.get, makePayload(path), () => {}, (channel, type, bytes) => {
      if (type === types.entry) {
        kind ||= bytes[0];
        if (kind === 1) return;
        channel.abandon(new AgentError(`${path}: is a folder, not a file`));
      }
      if (type === types.data) pieces.push(bytes.slice());
      if (type === types.stderr) warning = printable(new TextDecoder().decode(bytes));
      if (type !== types.end) return;
      if (kind === 1 && !warning) channel.finish(joined(pieces));
      else channel.fail(new AgentError(warning || `${path}: is not a file`));
    });
  }

  async #operate(subject, signal, type, payload, feed, receive) {
    signal?.throwIfAborted();
    if (payload.length > payloadLimit || /\0/.test(subject)) throw new AgentError(`${subject}: is no name of a file in a guest`);
    // The session may be lost again before it is this one's turn.
    for (await this.#turn(signal); this.#peerWindow === 0; await this.#turn(signal)) this.#busy--;
    do this.#nextChannel = (this.#nextChannel % 65535) + 1;
    while (this.#channels.has(this.#nextChannel));
    const number = this.#nextChannel;
    const channel = new Channel(this, number, this.#peerWindow, subject, receive);
    this.#channels.set(number, channel);
    const abort = () => channel.abandon(signal.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      channel.send(type, payload);
      feed(channel);
      return await channel.result;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#channels.delete(number);
      this.#busy--;
      this.#admit();
    }
  }

  // Until there is a session with a free channel.
  #turn(signal) {
    return new Promise((done, failed) => {
      const abort = () => {
        this.#waiting = this.#waiting.filter((each) => each !== wait);
        failed(signal.reason);
      };
      const answer = (settle) => (value) => {
        signal?.removeEventListener("abort", abort);
        settle(value);
      };
      const wait = { done: answer(done), failed: answer(failed) };
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.push(wait);
      this.#admit();
    });
  }
  #admit() {
    if (this.#gone) for (const { failed } of this.#waiting.splice(0)) failed(this.#gone);
    const free = this.#peerWindow > 0 ? mostChannels - this.#busy : 0;
    for (const { done } of this.#waiting.splice(0, Math.max(free, 0))) {
      this.#busy++;
      done();
    }
  }

  #hear(frame) {
    if (frame.channel === 0 && frame.type === types.hello) return this.#hello(new PayloadReader(frame.payload));
    if (this.#peerWindow === 0) return; // of a session before ours
    if (frame.channel === 0 && frame.type === types.error) {
      const reader = new PayloadReader(frame.payload);
      reader.number(4);
      return this.#lose(`the guest's agent gives up: ${printable(reader.string())}`);
    }
    this.#channels.get(frame.channel)?.hear(frame);
  }
  #hello(reader) {
    const [greeting, spoken] = [reader.number(4), reader.number(2)];
    reader.skip(2);
    const [nonce, peerWindow] = [reader.number(4), reader.number(4)];
    if (greeting !== magic || peerWindow < leastWindow) throw new AgentError("the guest's agent does not greet as it should");
    if (spoken !== version) throw new AgentError(`the guest's agent speaks version ${spoken} of the protocol, not ${version}; build the guest again`);
    if (nonce === 0) {
      if (this.#peerWindow > 0) this.#lose("the guest's agent has started anew");
      return this.greet();
    }
    if (nonce !== this.#nonce || this.#peerWindow > 0) return; // the answer to somebody before us
    this.#peerWindow = peerWindow;
    this.#admit();
  }
}
