// A machine's network card at a relay's room (netbridge): each websocket message is an Ethernet frame.
// Promises: frames that the page cannot send now are dropped, as a full wire does; nothing waits without a bound.

import { RelayLine } from "./relay.mjs";

const mostWaiting = 4 << 20; // bytes that the browser holds

export class Network {
  #machine;
  #line;

  // wake() after a frame has come; tell(connected, problem) when the relay is there, or no longer.
  constructor(machine, urls, wake, tell) {
    this.#machine = machine;
    this.#line = new RelayLine(urls, {
      opened: () => tell(true),
      message: (frame) => {
        machine.giveFrame(frame);
        wake();
      },
      lost: (problem) => tell(false, problem),
    });
  }
  // After each slice.
  service() {
    for (const frame of this.#machine.takeFrames()) if (this.#line.isOpen && this.#line.waiting < mostWaiting) this.#line.send(frame);
  }
  stop() {
    this.#line.stop();
  }
}
