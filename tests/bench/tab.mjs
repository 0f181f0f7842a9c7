// Machines of a page that tabs.py opens: each function starts one and resolves when it takes commands; command(text) is what a line for
// the guest's shell prints.

export async function viv({ jit }) {
  const { Vivarium } = await import("/vivarium/index.mjs");
  const program = new Uint8Array(await (await fetch("/bench-riscv64")).arrayBuffer());
  const vm = await Vivarium.start({ guest: "linux-riscv64", guests: "/guests/", jit });
  await vm.writeFile("/tmp/bench", program, { mode: 0o755 });
  return async (text) => (await vm.exec(["sh", "-c", text])).stdout;
}

// Its only way in and out is the serial console.
export async function v86() {
  const { V86 } = await import("/v86/build/libv86.mjs");
  const machine = new V86({
    wasm_path: "/v86/build/v86.wasm",
    bios: { url: "/machine/seabios.bin" },
    vga_bios: { url: "/machine/vgabios.bin" },
    bzimage: { url: "/machine/kernel" },
    initrd: { url: "/machine/initrd" },
    cmdline: "console=ttyS0 tsc=reliable mitigations=off random.trust_cpu=on quiet",
    memory_size: 512 << 20,
    vga_memory_size: 2 << 20,
    autostart: true,
    disable_speaker: true,
  });
  let seen = "";
  let look = () => {};
  machine.add_listener("serial0-output-byte", (byte) => {
    seen += String.fromCharCode(byte);
    look();
  });
  const until = (end) => new Promise((done) => {
    look = () => {
      const at = seen.indexOf(end);
      if (at < 0) return;
      const before = seen.slice(0, at);
      seen = seen.slice(at + end.length);
      look = () => {};
      done(before);
    };
    look();
  });
  const send = (text) => machine.serial0_send(text);
  await until(" # ");
  send("stty -echo -onlcr; PS1=''; PS2=''; echo re''ady\n");
  await until("ready\n");
  return async (text) => {
    send(`${text}\necho --e''nd--\n`);
    return until("--end--\n");
  };
}
