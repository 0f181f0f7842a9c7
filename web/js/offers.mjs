// The machine's ends of tunnels (netbridge --tunnels): whoever attaches there is a client of its gdb stub, its QMP server, its
// monitor or its display. Promises: a debugger is alone, of the others a few at a time; whoever does not take what is said is dropped; when the
// relay is lost its clients have gone, and the tunnel is offered again.

import { RelayLine } from "./relay.mjs";

const mostClients = 16; // of one tunnel
const mostWaiting = 8 << 20; // bytes for one client
const largestMessage = 32 << 10;

class Offer {
  #machine;
  #protocol;
  #url;
  #wake;
  #tell;
  #ends = new Set(); // {line, client}: websockets that somebody uses, and the one that waits for somebody

  constructor(machine, protocol, url, wake, tell) {
    this.#machine = machine;
    this.#protocol = protocol;
    this.#url = url;
    this.#wake = wake;
    this.#tell = tell;
    this.#wait();
  }
  stop() {
    for (const end of this.#ends) this.#drop(end);
  }
  service() {
    for (const end of this.#ends) if (end.client) this.#say(end);
  }

  get #most() {
    return this.#protocol === "gdb" ? 1 : mostClients;
  }
  // One end waits for somebody, unless there is no place for more.
  #wait() {
    if (this.#ends.size >= this.#most || [...this.#ends].some(({ client }) => !client)) return;
    const end = { client: 0 };
    this.#ends.add(end);
    end.line = new RelayLine([this.#url], {
      opened: () => this.#tell(true),
      message: (bytes) => this.#hear(end, bytes),
      closed: () => {
        if (!end.client) return false;
        this.#drop(end);
        this.#wait();
        this.#wake();
        return true;
      },
      lost: (problem) => this.#tell(false, problem),
    });
  }
  #hear(end, bytes) {
    if (end.client) this.#machine.tellControl(end.client, bytes);
    else if (bytes.length === 0) this.#admit(end);
    this.#wake();
  }
  // Somebody has attached.
  #admit(end) {
    try {
      end.client = this.#machine.openControl(this.#protocol);
    } catch {
      return end.line.renew(); // a debugger is there, by another tunnel; or there is no display
    }
    this.#wait();
  }
  #say(end) {
    const { bytes, over } = this.#machine.takeControl(end.client);
    for (let at = 0; at < bytes.length; at += largestMessage) end.line.send(bytes.subarray(at, at + largestMessage));
    if (!over && end.line.waiting < mostWaiting) return;
    this.#drop(end);
    this.#wait();
  }
  #drop(end) {
    this.#ends.delete(end);
    end.line.stop();
    if (end.client) this.#machine.closeControl(end.client);
    end.client = 0;
  }
}

export class Offers {
  #machine;
  #wake;
  #tellOf;
  #offers = new Map(); // by protocol

  // wake() after something has come; tellOf(protocol) returns what is told (connected, problem).
  constructor(machine, wake, tellOf) {
    this.#machine = machine;
    this.#wake = wake;
    this.#tellOf = tellOf;
  }
  // Without a URL there is none any more.
  set(protocol, url) {
    this.#offers.get(protocol)?.stop();
    this.#offers.delete(protocol);
    if (url !== undefined) this.#offers.set(protocol, new Offer(this.#machine, protocol, url, this.#wake, this.#tellOf(protocol)));
  }
  // After each slice.
  service() {
    for (const offer of this.#offers.values()) offer.service();
  }
  stop() {
    for (const offer of this.#offers.values()) offer.stop();
  }
}
