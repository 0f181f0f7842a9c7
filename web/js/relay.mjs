// A websocket to a relay that is dialled again when it is lost. Promises: after a loss it waits half a second, then longer each
// time, ten at most; of several URLs each is tried in turn; a loss is told once, until it has worked again.

import { LoadError } from "./errors.mjs";

const firstPause = 500;
const longestPause = 10_000; // milliseconds

// A relay's URL: ws:// or wss://, or http:// and https://, which mean the same; `token` is added to it.
export function relayUrl(given, { base, token } = {}) {
  let url;
  try {
    url = new URL(given, base);
  } catch {
    throw new LoadError(`${given}: is no URL of a relay, as wss://relay.example.org/room`);
  }
  url.protocol = { "http:": "ws:", "https:": "wss:" }[url.protocol] ?? url.protocol;
  if (url.protocol !== "ws:" && url.protocol !== "wss:") throw new LoadError(`${given}: a relay's URL begins with ws:// or wss://`);
  url.hash = "";
  if (token !== undefined) url.searchParams.set("token", token);
  return url.href;
}
// A tunnel's, for who offers it: as above, of wss://HOST/tunnel/NAME.
export function offerUrl(given, options) {
  const url = new URL(relayUrl(given, options));
  if (!/^\/tunnel\/[^/]+\/?$/.test(url.pathname)) throw new LoadError(`${given}: a tunnel's URL is as wss://relay.example.org/tunnel/NAME`);
  url.pathname = `${url.pathname.replace(/\/$/, "")}/offer`;
  return url.href;
}

export class RelayLine {
  #urls;
  #turn = 0;
  #pause = firstPause;
  #complained = false;
  #socket;
  #timer;
  #calls;
  #opened = false;

  // calls: {opened(), message(bytes), lost(problem)}, and closed() if a connection's end may be the last: it returns whether it is.
  constructor(urls, calls) {
    if (typeof WebSocket === "undefined") throw new LoadError("this Node has no WebSocket; 22 and later have");
    this.#urls = urls;
    this.#calls = calls;
    this.#dial();
  }
  get isOpen() {
    return this.#opened;
  }
  // Bytes that have been sent and have not left yet.
  get waiting() {
    return this.#socket?.bufferedAmount ?? 0;
  }
  send(bytes) {
    this.#socket.send(bytes);
  }
  // Ends this connection, and dials the next at once.
  renew() {
    this.#drop();
    this.#dial();
  }
  stop() {
    clearTimeout(this.#timer);
    this.#drop();
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#opened = false;
    socket?.close();
  }
  #dial() {
    const url = this.#urls[this.#turn];
    const socket = (this.#socket = new WebSocket(url));
    socket.binaryType = "arraybuffer";
    const mine = (use) => (event) => socket === this.#socket && use(event);
    socket.onopen = mine(() => {
      this.#opened = true;
      this.#complained = false;
      this.#pause = firstPause;
      this.#calls.opened?.();
    });
    socket.onmessage = mine(({ data }) => data instanceof ArrayBuffer && this.#calls.message(new Uint8Array(data)));
    socket.onclose = mine(({ reason }) => {
      const worked = this.#opened;
      this.#drop();
      if (this.#calls.closed?.()) return;
      const { host, pathname } = new URL(url);
      const why = worked ? "the relay has ended the connection" : "the relay cannot be reached, or refuses this page's origin or the token";
      if (!this.#complained) this.#calls.lost(`${host}${pathname}: ${why}${reason ? ` (${reason})` : ""}`);
      this.#complained = true;
      this.#turn = (this.#turn + 1) % this.#urls.length;
      this.#timer = setTimeout(() => this.#dial(), this.#pause);
      if (this.#turn === 0) this.#pause = Math.min(2 * this.#pause, longestPause);
    });
  }
}
