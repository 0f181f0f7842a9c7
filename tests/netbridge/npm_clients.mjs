// Clients that pages use, in a page that npm_clients_test.py opens: v86 with its network adapter, and wisp-js.
// Promises: a function's promise is kept only if every frame and byte has come through as it was sent; it says what went
// wrong otherwise. The packages are served beside this file, as npm packs them.

function check(holds, what) {
    if (!holds) throw new Error(what);
}

const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

const opened = (socket) => new Promise((done, failed) => {
    if (socket.readyState === WebSocket.OPEN) done();
    socket.addEventListener("open", done);
    socket.addEventListener("close", (event) => failed(new Error(`closed: ${event.code}`)));
});

// Two machines in a room, each with a card: what one's card sends the other's receives, and not its own.
export async function v86(relay) {
    const { V86 } = await import("./v86/build/libv86.mjs");
    const machine = async () => {
        const made = new V86({
            wasm_path: "v86/build/v86.wasm",
            net_device: { type: "ne2k", relay_url: `${relay}/v86` },
            autostart: false,
            disable_speaker: true,
        });
        await new Promise((done) => made.add_listener("emulator-loaded", done));
        // The card's side of what is between the card and the adapter.
        const card = made.v86.bus;
        const received = [];
        let tell = () => {};
        card.register("net0-receive", (frame) => { received.push(frame); tell(); }, null);
        return {
            send: (frame) => card.send("net0-send", frame),
            opened: () => opened(made.network_adapter.socket),
            receive: async () => {
                while (received.length === 0) await new Promise((done) => { tell = done; });
                return received.shift();
            },
            received,
            destroy: () => made.destroy(),
        };
    };
    const frame = (to, from, size) => Uint8Array.from({ length: size }, (_, at) => at < 6 ? to[at] : at < 12 ? from[at - 6] : at * 31 % 251);
    const everybody = Array(6).fill(255), addresses = [1, 2].map((number) => [0x52, 0x54, 0, 0, 0, number]);
    const [one, other] = [await machine(), await machine()];
    // The adapter connects once there is something to be sent. Who is not there yet hears nothing of it.
    one.send(frame(everybody, addresses[0], 60));
    await one.opened();
    for (const size of [60, 61, 1514]) {
        const all = frame(everybody, addresses[1], size);
        other.send(all);
        check(same(await one.receive(), all), `a frame of ${size} for all`);
        const back = frame(addresses[1], addresses[0], size);
        one.send(back);
        check(same(await other.receive(), back), `a frame of ${size} for one`);
    }
    check(one.received.length === 0 && other.received.length === 0, "more than was sent");
    await Promise.all([one.destroy(), other.destroy()]);
}

// A stream with an echo behind it, and one to where nobody may go.
export async function wisp(relay, version, port) {
    const { client } = await import("./wisp-js/dist/wisp-client.mjs");
    const connection = new client.ClientConnection(`${relay}/wisp/`, { wisp_version: version });
    await new Promise((done, failed) => {
        connection.onopen = done;
        connection.onclose = () => failed(new Error("closed"));
    });
    check(connection.wisp_version === version, `version ${connection.wisp_version}`);
    const stream = connection.create_stream("127.0.0.1", port);
    const chunk = new Uint8Array(10_000).map((_, at) => at * 7 % 251);
    const total = 300 * chunk.length;
    let got = 0;
    await new Promise((done, failed) => {
        stream.onclose = (reason) => failed(new Error(`closed: ${reason}`));
        stream.onmessage = (bytes) => {
            for (const byte of bytes) if (byte !== chunk[got++ % chunk.length]) failed(new Error(`another byte at ${got - 1}`));
            if (got === total) done();
        };
        for (let at = 0; at < total; at += chunk.length) stream.send(chunk);
    });
    const nowhere = connection.create_stream("169.254.169.254", 80);
    const reason = await new Promise((done) => { nowhere.onclose = done; });
    check(reason === 0x48, `closed for ${reason}`);
    connection.close();
}

// A page of another origin than the relay has been told of.
export async function stranger(relay) {
    const socket = new WebSocket(`${relay}/v86`);
    const code = await new Promise((done, failed) => {
        socket.onopen = () => failed(new Error("it was let in"));
        socket.onclose = (event) => done(event.code);
    });
    check(code === 1006, `closed by ${code}`);
}
