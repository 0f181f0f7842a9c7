// A saved machine from anywhere. The first byte says whether the rest is a file, or edits to a real one, which get past
// its checksums now and then.
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
struct Source final : ByteSource {
    explicit Source(std::span<const u8> from) : bytes(from) {}
    std::span<const u8> bytes;
    Result<void> read(std::span<u8> out) override {
        if (out.size() > bytes.size()) return Error{"is cut short"};
        std::copy_n(bytes.begin(), out.size(), out.begin());
        bytes = bytes.subspan(out.size());
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
        Source head(file);
        (void)Machine::read_head(head);
    }
    fuzz::Bench bench(fuzz::Plugged::bare);
    Source source(file);
    if (bench.machine->restore(source)) bench.machine->run({.instructions = 1000, .host_ns = 1'000'000});
    return 0;
}
