// A saved machine from anywhere. The first byte says whether the rest is a file, or edits to a real one, which get past
// its checksums now and then.
#include "engine/host/bytes_file.h"
#include "tests/fuzz/fuzz_machine.h"

using namespace viv;

namespace {

struct Sink final : ByteSink {
    std::vector<u8> bytes;
    Result<void> write(std::span<const u8> in) override {
        bytes.insert(bytes.end(), in.begin(), in.end());
        return {};
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    static const std::vector<u8> real = [] {
        fuzz::Bench bench(fuzz::Plugged::bare);
        Sink sink;
        if (!bench.machine->save(sink)) std::abort();
        return sink.bytes;
    }();
    fuzz::Tape tape({data, size});
    std::vector<u8> file;
    if ((tape.byte() & 1) != 0) {
        file.assign(tape.rest().begin(), tape.rest().end());
    } else {
        file = real;
        for (unsigned edits = 0; !tape.done() && edits < 64; edits++) {
            const usize at = tape.number(4) % file.size();
            if (tape.byte() < 8)
                file.resize(at + 1);
            else
                file[at] = tape.byte();
        }
    }
    {
        auto head = state::Source::of(std::make_unique<host::BytesFile>(file));
        (void)Machine::read_head(head);
    }
    fuzz::Bench bench(fuzz::Plugged::bare);
    auto source = state::Source::of(std::make_unique<host::BytesFile>(file));
    if (bench.machine->restore(source)) bench.machine->run({.instructions = 1000, .host_ns = 1'000'000});
    return 0;
}
