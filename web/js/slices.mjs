// Runs a machine in slices between turns of the event loop, of a worker or of Node.
// Promises: other events get their turn after each slice; a waiting machine costs nothing until its next timer; input wakes
// it at once.

const longestSleep = 2 ** 31 - 1; // milliseconds that a timer can count

export class Slices {
  #machine;
  #channel = new MessageChannel();
  #timer;
  #running = false;
  #scheduled = false;
  #after;
  #ended;

  // `after` is called after each slice, with true if the machine is off; `slice` is how long one may take, in milliseconds.
  constructor(machine, after, slice = 10) {
    this.#machine = machine;
    this.#after = after;
    this.slice = slice;
    // A message comes sooner than a timer, which is held back by 4 ms.
    this.#channel.port2.onmessage = () => this.#turn();
  }

  start() {
    this.#running = true;
    this.wake();
  }
  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#channel.port1.close();
  }
  // There is input, or something else to look at.
  wake() {
    if (!this.#running || this.#scheduled || this.#ended) return;
    clearTimeout(this.#timer);
    this.#scheduled = true;
    this.#channel.port1.postMessage(0);
  }

  #turn() {
    this.#scheduled = false;
    if (!this.#running) return;
    const rest = this.#machine.run(this.slice);
    this.#ended = rest < 0;
    this.#after(this.#ended);
    if (this.#ended) return this.stop();
    if (rest === 0) return this.wake();
    if (rest < longestSleep) this.#timer = setTimeout(() => this.wake(), Math.max(rest, 0));
  }
}
