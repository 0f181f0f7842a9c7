// Frames of the guest agent's protocol, version 1: guests/agent/PROTOCOL.md.
// Promises: the guest is not trusted: a length is checked before anything is decoded, and what is too short throws AgentError.

import { AgentError } from "./errors.mjs";

export const types = { hello: 0x01, exec: 0x10, stdinEnd: 0x11, cancel: 0x14, put: 0x20, get: 0x21, end: 0x22, window: 0x30,
  exited: 0x31, error: 0x32, stdin: 0x40, stdout: 0x41, stderr: 0x42, entry: 0x43, data: 0x44 };
export const payloadLimit = 65536;
const headerSize = 8;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

// Of stdin, stdout and data frames each byte costs credit.
export const costsCredit = (type) => (type & 0xf0) === 0x40;

// parts: [size, number] for integers of 1, 2, 4 or 8 bytes; a string; or a Uint8Array as it is.
export function makePayload(...parts) {
  const pieces = parts.map((part) => {
    if (part instanceof Uint8Array) return part;
    if (typeof part === "string") {
      const text = encoder.encode(part);
      const bytes = new Uint8Array(4 + text.length);
      new DataView(bytes.buffer).setUint32(0, text.length, true);
      bytes.set(text, 4);
      return bytes;
    }
    const [size, number] = part;
    const view = new DataView(new ArrayBuffer(8));
    view.setBigInt64(0, BigInt(number), true);
    return new Uint8Array(view.buffer, 0, size);
  });
  return joined(pieces);
}

export function joined(pieces) {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

export function makeFrame(type, channel, payload) {
  const bytes = new Uint8Array(headerSize + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length, true);
  view.setUint8(4, type);
  view.setUint16(6, channel, true);
  bytes.set(payload, headerSize);
  return bytes;
}

// Cuts a stream of bytes into frames.
export class FrameParser {
  #bytes = new Uint8Array(0);

  // Yields {type, channel, payload}.
  *take(bytes) {
    this.#bytes = this.#bytes.length === 0 ? bytes : joined([this.#bytes, bytes]);
    for (;;) {
      const held = this.#bytes;
      if (held.length < headerSize) return;
      const view = new DataView(held.buffer, held.byteOffset, held.length);
      const size = view.getUint32(0, true);
      if (size > payloadLimit) throw new AgentError("the guest's agent sends what is no frame");
      if (held.length < headerSize + size) return;
      this.#bytes = held.subarray(headerSize + size);
      yield { type: view.getUint8(4), channel: view.getUint16(6, true), payload: held.subarray(headerSize, headerSize + size) };
    }
  }
}

export class PayloadReader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }
  #next(size) {
    if (size > this.#bytes.length - this.#at) throw new AgentError("the guest's agent sends a frame that is too short");
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }
  number(size) {
    return this.#next(size).reduceRight((number, byte) => number * 256 + byte, 0);
  }
  string() {
    return decoder.decode(this.#next(this.number(4)));
  }
  skip(size) {
    this.#next(size);
  }
}
