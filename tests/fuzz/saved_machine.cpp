// A saved machine from anywhere. The first byte says what the rest is: a file; edits to a real one, which get past its
// checksums now and then; or edits to the table of a real one, which is then written with the right checksums.
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

struct Real {
    std::vector<u8> file, table;
    std::vector<state::PackedChunk> chunks;

    Real() {
        fuzz::Bench bench(fuzz::Plugged::temporary_disk);
        for (const u64 offset : {u64{512}, u64{40} << 10}) {
            std::vector<u8> sector(512, 0x5a);
            bench.machine->plugged()[0].disk->submit({block::Operation::write, offset, sector.size(), {sector}, {}});
        }
        Sink sink;
        if (!bench.machine->save(sink)) std::abort();
        file = std::move(sink.bytes);
        auto reader = state::FileReader::open(state::Source::of(std::make_unique<host::BytesFile>(file)));
        if (!reader) std::abort();
        table.assign(reader->table().begin(), reader->table().end());
        for (u32 i = 0; i < reader->chunks(); i++) {
            auto chunk = reader->stored(i);
            if (!chunk) std::abort();
            chunks.push_back(std::move(*chunk));
        }
    }
    std::vector<u8> with_table(std::span<const u8> other) const {
        Sink sink;
        state::FileWriter writer(sink);
        if (!writer.begin()) std::abort();
        for (const auto& chunk : chunks)
            if (!writer.add(chunk)) std::abort();
        if (!writer.finish(other)) std::abort();
        return std::move(sink.bytes);
    }
};

std::vector<u8> edited(std::vector<u8> bytes, fuzz::Tape& tape) {
    for (unsigned edits = 0; !tape.done() && edits < 64; edits++) {
        const usize at = tape.number(4) % bytes.size();
        if (tape.byte() < 8)
            bytes.resize(at + 1);
        else
            bytes[at] = tape.byte();
    }
    return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    static const Real real;
    fuzz::Tape tape({data, size});
    std::vector<u8> file;
    switch (tape.byte() % 3) {
        case 0: file = edited(real.file, tape); break;
        case 1: file.assign(tape.rest().begin(), tape.rest().end()); break;
        default: file = real.with_table(edited(real.table, tape));
    }
    {
        auto head = state::Source::of(std::make_unique<host::BytesFile>(file));
        (void)Machine::read_head(head);
    }
    fuzz::Bench bench(fuzz::Plugged::temporary_disk);
    auto source = state::Source::of(std::make_unique<host::BytesFile>(file));
    if (bench.machine->restore(source)) bench.machine->run({.instructions = 1000, .host_ns = 1'000'000});
    return 0;
}
