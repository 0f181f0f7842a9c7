// The package's types. The promises are those of index.mjs.

/** Bytes, or text that is sent as UTF-8. */
export type Data = string | Uint8Array | ArrayBuffer;
/** Where a file comes from: a URL, or its bytes. */
export type Source = string | URL | Blob | Uint8Array | ArrayBuffer;
export type State = "loading" | "running" | "paused" | "off" | "failed";
export interface Progress {
  /** Which file. */
  name: string;
  /** Bytes. */
  loaded: number;
  total: number;
}

/** A relay's room: netbridge's URL, or several of which one is enough. */
export type Net = string | URL | readonly (string | URL)[] | {
  url: string | URL | readonly (string | URL)[];
  /** As `netbridge token --room` prints it. */
  token?: string;
  /** The card's address, as 52:54:00:12:34:56; random if it is not given. */
  mac?: string;
};
/** What clients of the machine's can be offered through a relay's tunnel. */
export type Offered = "monitor" | "qmp" | "gdb" | "vnc";
/** A tunnel's URL, as wss://relay.example.org/tunnel/NAME, and its token, as `netbridge token --offer` prints it. */
export type Tunnel = string | URL | { url: string | URL; token?: string };
export interface Relayed {
  /** The machine's network card, or a tunnel. */
  of: "net" | Offered;
  connected: boolean;
  /** Why it is not. It is tried again. */
  problem?: string;
}

/** A disk that `viv-img publish` has made for web servers. What is read of it is fetched then, checked, and kept for the next time. */
export interface Disk {
  /** NAME.disk of the published folder. */
  url: string | URL;
  /** The name of the file in which the browser keeps for this site what the guest writes; for one page at a time. Without it that is forgotten. */
  overlay?: string;
  /** The guest cannot write. */
  readOnly?: boolean;
}

export interface Options {
  /** A guest's name, whose guest.json is in the folder `guests`; or the URL of a guest's folder. */
  guest?: string;
  /** The folder with the guests; `../guests/` beside the package if it is not given. */
  guests?: string | URL;
  /** A saved machine, to be opened instead of a guest: a file, its URL, or the URL of a published machine's folder (with a slash at its end). */
  restore?: string | URL | Blob;

  kernel?: Source;
  initrd?: Source;
  bios?: Source;
  /** The kernel's command line. */
  append?: string;
  /** Bytes. */
  memory?: number;
  cpus?: number;
  board?: string;
  cpu?: string;
  /** The machine has a display, a keyboard and a tablet, for VNC viewers (offers). */
  display?: boolean;
  name?: string;
  jit?: "off" | "quick" | "full";
  /** Bytes for translated code, of each CPU. */
  jitCache?: number;
  deterministic?: boolean;
  seed?: number;
  /** The console port of the guest's agent; empty: the guest has none. */
  agent?: string;

  /** The guest's disks, in this order. */
  disks?: readonly Disk[];
  /** The machine has a network card, whose cable leads into a relay's room. */
  net?: Net;
  /** Tunnels for clients of the machine's, from the start. */
  offers?: Partial<Record<Offered, Tunnel>>;
  /** Files that the guest gets before start() resolves, by their paths there. The guest needs an agent for that. */
  files?: Record<string, Data | Blob>;
  /** Typed at the serial console when the guest waits for a user (as its guest.json says), or at once if it is opened. */
  type?: string;
  /** Stops the machine while it is being started. */
  signal?: AbortSignal;
  onSerial?: (bytes: Uint8Array) => void;
  onState?: (state: State) => void;
  onProgress?: (progress: Progress) => void;
  onError?: (error: Error) => void;
  onRelay?: (relayed: Relayed) => void;
}

export interface ExecOptions {
  stdin?: Data;
  env?: Record<string, string>;
  /** The folder in which the program runs; `/` if it is not given. */
  cwd?: string;
  /** Kills the program. */
  signal?: AbortSignal;
  /** Gets the output as it comes; it is not in the result then. */
  onStdout?: (bytes: Uint8Array) => void;
  onStderr?: (bytes: Uint8Array) => void;
}
export interface Result {
  stdout: string;
  stderr: string;
  /** 128 + n after signal n. */
  code: number;
}

export interface Events {
  state: State;
  serial: Uint8Array;
  progress: Progress;
  error: Error;
  /** A relay has been reached, or lost. */
  relay: Relayed;
}

export class Vivarium {
  private constructor();
  /** Resolves when the machine runs and has its files. */
  static start(options?: Options): Promise<Vivarium>;

  readonly state: State;
  /** Of a machine that has powered off. */
  readonly exitCode: number | undefined;
  readonly serial: { write(data: Data): void };
  /** Calls the listener at each event until the function that it returns is called. */
  on<Event extends keyof Events>(event: Event, listener: (about: Events[Event]) => void): () => void;

  /** A text is a line for /bin/sh, a list a program and its arguments. Waits until the guest has booted; needs its agent. */
  exec(command: string | readonly string[], options?: ExecOptions): Promise<Result>;
  readFile(path: string, options?: { signal?: AbortSignal }): Promise<Uint8Array>;
  /** Makes the folders above it. mode: permissions, 0o644 if not given. */
  writeFile(path: string, data: Data | Blob, options?: { mode?: number; signal?: AbortSignal }): Promise<void>;

  /** The machine as a file, which `viv run --restore` opens, too; it goes on meanwhile. */
  save(): Promise<Blob>;
  /** This machine becomes the saved one; what it was is gone. */
  restore(saved: string | URL | Blob): Promise<void>;
  /** Whoever attaches to the tunnel is a client of the machine's debugger stub, QMP server, monitor or display, as long as the page is there. */
  offer(protocol: Offered, tunnel: Tunnel): void;
  /** The tunnel's clients are gone, and it has no end here any more. */
  withdraw(protocol: Offered): void;
  /** No time passes in the guest until resume(). */
  pause(): void;
  resume(): void;
  /** Power-on again. */
  reset(): void;
  /** Ends the machine at once, and gives its memory back. */
  stop(): void;
}

/** Every error of the package. Its message is one line. */
export class VivariumError extends Error {}
/** A file cannot be fetched, or is not what it should be. */
export class LoadError extends VivariumError {}
/** There is not enough memory for the machine. */
export class OutOfMemoryError extends VivariumError {}
/** The machine cannot be started as described, or has ended. */
export class MachineError extends VivariumError {}
/** The guest has no agent, or it cannot do what was asked. */
export class AgentError extends VivariumError {}
