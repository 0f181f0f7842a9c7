// The elements that elements.mjs defines; their attributes stand in machine_element.mjs and run_element.mjs.
import type { Vivarium } from "./index.js";

export interface MachineElement extends HTMLElement {
  readonly vm: Vivarium | undefined;
  /** What the terminal shows. */
  readonly text: string;
  start(): Promise<void>;
  stop(): void;
}
export interface RunElement extends HTMLElement {
  run(): Promise<void>;
}
declare global {
  interface HTMLElementTagNameMap {
    "vivarium-machine": MachineElement;
    "vivarium-run": RunElement;
  }
}
