// What the package throws. Promises: each message is one line that says what is wrong and, where there is something, what would be
// right; errors that come out of a worker keep their class.

export class VivariumError extends Error {
  get name() {
    return this.constructor.name;
  }
}
// Something cannot be fetched, or is not what it should be: a wrong URL, a page instead of a file, a damaged saved machine.
export class LoadError extends VivariumError {}
// The browser does not give the memory that a machine needs.
export class OutOfMemoryError extends VivariumError {}
// The machine cannot be started as described, has ended, or cannot do what was asked of it.
export class MachineError extends VivariumError {}
// The guest has no agent, or its agent cannot do what was asked of it.
export class AgentError extends VivariumError {}

const classes = { LoadError, OutOfMemoryError, MachineError, AgentError };

// To and from what can be posted.
export const packError = (error) => ({ kind: error?.name, message: error instanceof Error ? error.message : String(error) });
export const unpackError = ({ kind, message }) => new (classes[kind] ?? MachineError)(message);
