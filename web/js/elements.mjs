// The elements <vivarium-machine> and <vivarium-run> for any page: <script type="module" src="vivarium/elements.mjs"></script>.
// Promises: nothing but this file and its style is loaded before somebody starts a machine; elements that leave the page end theirs.

import { MachineElement } from "./machine_element.mjs";
import { RunElement } from "./run_element.mjs";

customElements.define("vivarium-machine", MachineElement);
customElements.define("vivarium-run", RunElement);
