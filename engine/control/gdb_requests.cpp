// What a debugger asks and changes while the machine stands still: threads, registers, memory, points, descriptions.
// See gdbstub.h. Errors are the numbers of errno that gdb knows: 14 no such memory, 22 not understood, 28 no room.
#include <fmt/format.h>

#include <algorithm>

#include "engine/control/gdb_target.h"
#include "engine/control/gdbstub.h"

namespace viv {

namespace {

constexpr const char* no_memory = "E14";
constexpr const char* not_understood = "E22";
constexpr const char* no_room = "E28";

// "address,length"
struct Range {
    u64 address = 0;
    u64 length = 0;
};

std::optional<Range> take_range(std::string_view& text) {
    const auto address = gdb::take_hex(text);
    if (!address || !gdb::take_char(text, ',')) return std::nullopt;
    const auto length = gdb::take_hex(text);
    if (!length) return std::nullopt;
    return Range{*address, *length};
}

// The part of [at, end) on the page of `at`.
u64 page_part(u64 at, u64 length) { return std::min(length, page_size - (at & page_mask)); }

}  // namespace

std::optional<u64> GdbStub::take_thread(std::string_view& text) const {
    if (text.starts_with("-1")) {
        text.remove_prefix(2);
        return all_threads;
    }
    const auto thread = gdb::take_hex(text);
    if (!thread || *thread > cpus().size()) return std::nullopt;
    return *thread;
}

std::string GdbStub::choose_thread(std::string_view rest) {
    const char what = rest.empty() ? '\0' : rest.front();
    std::string_view text = rest.empty() ? rest : rest.substr(1);
    const auto thread = take_thread(text);
    if (!thread || !text.empty()) return not_understood;
    if (what == 'g') {
        if (*thread != any_thread && *thread != all_threads) context_.cpu = static_cast<unsigned>(*thread - 1);
    } else if (what == 'c') {
        continue_thread_ = *thread;
    } else {
        return not_understood;
    }
    return "OK";
}

std::string GdbStub::general_query(std::string_view query) {
    const std::string_view name = query.substr(0, query.find_first_of(":,"));
    if (name == "Supported") {
        tells_swbreak_ = query.find("swbreak+") != query.npos;
        tells_hwbreak_ = query.find("hwbreak+") != query.npos;
        return fmt::format(
            "PacketSize={:x};QStartNoAckMode+;qXfer:features:read+;qXfer:threads:read+;vContSupported+;"
            "swbreak+;hwbreak+",
            gdb::packet_size);
    }
    if (name == "Attached") return "1";  // it was there before the debugger: quitting detaches
    if (name == "C") return fmt::format("QC{:x}", context_.cpu + 1);
    if (name == "fThreadInfo") {
        std::string list;
        for (const Cpu* each : cpus()) list += fmt::format("{}{:x}", list.empty() ? "m" : ",", each->index() + 1);
        return list;
    }
    if (name == "sThreadInfo") return "l";
    if (name == "ThreadExtraInfo") {
        std::string_view text = query.substr(std::min(query.size(), name.size() + 1));
        const auto thread = take_thread(text);
        if (!thread || *thread == any_thread || *thread == all_threads) return not_understood;
        return gdb::to_hex(gdb::thread_text(*cpus()[*thread - 1]));
    }
    if (name == "Xfer") return transfer(query.substr(std::min(query.size(), name.size() + 1)));
    if (name == "Symbol") return "OK";
    return {};
}

std::string GdbStub::set_query(std::string_view query) { return query == "StartNoAckMode" ? "OK" : ""; }

// "features:read:target.xml:offset,length"
std::string GdbStub::transfer(std::string_view request) {
    std::string document;
    constexpr std::string_view features = "features:read:", threads = "threads:read:";
    if (request.starts_with(features)) {
        request.remove_prefix(features.size());
        if (!request.starts_with("target.xml:")) return "E00";
        request.remove_prefix(std::string_view("target.xml:").size());
        document = gdb::target_xml(cpu());
    } else if (request.starts_with(threads)) {
        request.remove_prefix(threads.size());
        if (!gdb::take_char(request, ':')) return "E00";
        document = gdb::threads_xml(cpus());
    } else {
        return {};
    }
    const auto range = take_range(request);
    if (!range || !request.empty() || range->address > document.size()) return not_understood;
    // Half the packet: every byte of it might need an escape.
    const usize length = static_cast<usize>(std::min<u64>(range->length, gdb::packet_size / 2 - 1));
    const std::string part = document.substr(range->address, length);
    const bool last = range->address + part.size() == document.size();
    return (last ? "l" : "m") + part;
}

std::string GdbStub::read_registers() {
    std::string text;
    const unsigned count = gdb::general_registers(cpu());
    for (unsigned i = 0; i < count; i++) text += gdb::to_hex(cpu().read_register(i));
    return text;
}

std::string GdbStub::write_registers(std::string_view rest) {
    const auto bytes = gdb::from_hex(rest);
    if (!bytes) return not_understood;
    std::vector<std::vector<u8>> values;
    usize at = 0;
    const unsigned count = gdb::general_registers(cpu());
    for (unsigned i = 0; i < count; i++) {
        const usize size = cpu().read_register(i).size();
        if (bytes->size() - at < size) return not_understood;
        values.emplace_back(bytes->begin() + static_cast<std::ptrdiff_t>(at),
                            bytes->begin() + static_cast<std::ptrdiff_t>(at + size));
        at += size;
    }
    if (at != bytes->size()) return not_understood;
    // A register that cannot be written (x0) keeps its value, as it would if a program wrote it.
    for (unsigned i = 0; i < count; i++) cpu().write_register(i, values[i]);
    return "OK";
}

std::string GdbStub::read_register(std::string_view rest) {
    const auto number = gdb::take_hex(rest);
    if (!number || !rest.empty() || *number > ~0U) return not_understood;
    const auto bytes = cpu().read_register(static_cast<unsigned>(*number));
    return bytes.empty() ? no_memory : gdb::to_hex(bytes);
}

std::string GdbStub::write_register(std::string_view rest) {
    const auto number = gdb::take_hex(rest);
    if (!number || *number > ~0U || !gdb::take_char(rest, '=')) return not_understood;
    const auto bytes = gdb::from_hex(rest);
    const auto known = cpu().read_register(static_cast<unsigned>(*number));
    if (!bytes || known.empty() || bytes->size() != known.size()) return not_understood;
    return cpu().write_register(static_cast<unsigned>(*number), *bytes) ? "OK" : no_memory;
}

std::string GdbStub::read_memory(std::string_view rest) {
    const auto range = take_range(rest);
    if (!range || !rest.empty()) return not_understood;
    const u64 length = std::min<u64>(range->length, gdb::packet_size / 2);
    std::vector<u8> bytes(length);
    u64 done = 0;
    while (done < length) {
        const u64 part = page_part(range->address + done, length - done);
        if (!cpu().read_memory(range->address + done, std::span(bytes).subspan(done, part))) break;
        done += part;
    }
    if (done == 0 && length != 0) return no_memory;
    return gdb::to_hex(std::span(bytes).first(done));
}

std::string GdbStub::write_memory(std::string_view rest, Encoding encoding) {
    const auto range = take_range(rest);
    if (!range || !gdb::take_char(rest, ':')) return not_understood;
    std::vector<u8> bytes(rest.begin(), rest.end());
    if (encoding == Encoding::hexadecimal) {
        auto decoded = gdb::from_hex(rest);
        if (!decoded) return not_understood;
        bytes = std::move(*decoded);
    }
    if (bytes.size() != range->length) return not_understood;
    // All pages are there or nothing is written.
    for (u64 done = 0; done < bytes.size();) {
        const u64 part = page_part(range->address + done, bytes.size() - done);
        if (!cpu().translate(range->address + done)) return no_memory;
        done += part;
    }
    for (u64 done = 0; done < bytes.size();) {
        const u64 part = page_part(range->address + done, bytes.size() - done);
        if (!cpu().write_memory(range->address + done, std::span(bytes).subspan(done, part))) return no_memory;
        done += part;
    }
    return "OK";
}

// "type,address,kind": kind is a watchpoint's length, and the size of an instruction for breakpoints.
std::string GdbStub::change_point(char way, std::string_view rest) {
    const auto type = gdb::take_hex(rest);
    if (!type || !gdb::take_char(rest, ',')) return not_understood;
    if (*type > 4) return {};
    const auto range = take_range(rest);
    if (!range) return not_understood;
    if (!rest.empty() && rest.front() == ';') return {};  // conditions and commands are not offered
    if (!rest.empty()) return not_understood;
    const bool watch = *type >= 2;
    if (watch && (range->length == 0 || range->length - 1 > ~range->address)) return not_understood;
    const Point point{*type, range->address, watch ? range->length : 0};
    const auto there = std::find(points_.begin(), points_.end(), point);
    if (way == 'z') {
        if (there != points_.end()) points_.erase(there);
    } else if (there == points_.end()) {
        if (points_.size() == maximum_points) return no_room;
        points_.push_back(point);
    }
    apply_points();
    return "OK";
}

void GdbStub::apply_points() {
    DebugPoints& points = context_.machine.debug_points();
    points = {};
    for (const Point& point : points_) {
        if (point.type < 2) {
            points.breakpoints.insert(point.address);
            continue;
        }
        constexpr DebugPoints::Access accesses[] = {DebugPoints::Access::write, DebugPoints::Access::read,
                                                    DebugPoints::Access::read_write};
        points.watches.push_back({point.address, point.length, accesses[point.type - 2]});
    }
    context_.machine.debug_points_changed();
}

}  // namespace viv
