// viv-img info, check, map and snapshot. See tool.h.
#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "native/img/tool.h"

namespace viv::native::img {

namespace {

using Json = nlohmann::ordered_json;

std::string date_text(u32 seconds) {
    const std::time_t time = seconds;
    std::tm parts{};
    localtime_r(&time, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    return text;
}

std::string clock_text(u64 nanoseconds) {
    const u64 seconds = nanoseconds / 1'000'000'000;
    return fmt::format("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60,
                       nanoseconds / 1'000'000 % 1000);
}

std::string snapshot_list(const std::vector<block::SnapshotInfo>& snapshots) {
    std::string text = "Snapshot list:\n";
    text += fmt::format("{:<10}{:<17}{:>8}{:>20}{:>15}{:>11}\n", "ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT");
    for (const auto& s : snapshots)
        text += fmt::format("{:<9} {:<16} {:>8}{:>20}{:>15}{:>11}\n", s.id, s.name, bytes_text(s.state_size),
                            date_text(s.date_seconds), clock_text(s.clock_nanoseconds),
                            s.instructions ? fmt::format("{}", *s.instructions) : "");
    return text;
}

// Keys as qemu-img has them.
Result<Json> describe(block::Image& image) {
    const auto details = image.details();
    Json json;
    if (!details.snapshots.empty()) {
        Json list = Json::array();
        for (const auto& s : details.snapshots)
            list.push_back({{"id", s.id},
                            {"name", s.name},
                            {"vm-state-size", s.state_size},
                            {"date-sec", s.date_seconds},
                            {"date-nsec", s.date_nanoseconds},
                            {"vm-clock-sec", s.clock_nanoseconds / 1'000'000'000},
                            {"vm-clock-nsec", s.clock_nanoseconds % 1'000'000'000}});
        json["snapshots"] = list;
    }
    json["virtual-size"] = image.size();
    json["filename"] = image.name();
    if (details.cluster_size != 0) json["cluster-size"] = details.cluster_size;
    json["format"] = image.format();
    json["actual-size"] = image.allocated();
    if (details.encrypted) json["encrypted"] = true;
    if (!details.specific.empty()) {
        Json data;
        for (const auto& [key, value] : details.specific) {
            // "a.b" is b of the object a.
            const auto dot = key.find('.');
            Json& place = dot == std::string::npos ? data[key] : data[key.substr(0, dot)][key.substr(dot + 1)];
            std::visit([&](const auto& v) { place = v; }, value);
        }
        json["format-specific"] = {{"type", image.format()}, {"data", data}};
    }
    if (!details.backing_file.empty()) {
        const auto path = ImageFiles::path_of(details.backing_file, image.name());
        if (path.ok()) json["full-backing-filename"] = *path;
        json["backing-filename"] = details.backing_file;
        if (!details.backing_format.empty()) json["backing-filename-format"] = details.backing_format;
    }
    json["dirty-flag"] = details.dirty;
    return json;
}

std::string human_text(block::Image& image) {
    const auto details = image.details();
    std::string text =
        fmt::format("image: {}\nfile format: {}\nvirtual size: {} ({} bytes)\ndisk size: {}\n", image.name(),
                    image.format(), bytes_text(image.size()), image.size(), bytes_text(image.allocated()));
    if (details.encrypted) text += "encrypted: yes\n";
    if (details.cluster_size != 0) text += fmt::format("cluster_size: {}\n", details.cluster_size);
    if (details.dirty) text += "cleanly shut down: no\n";
    if (!details.backing_file.empty()) {
        const auto path = ImageFiles::path_of(details.backing_file, image.name());
        text += fmt::format("backing file: {}", details.backing_file);
        if (path.ok() && *path != details.backing_file) text += fmt::format(" (actual path: {})", *path);
        text += '\n';
        if (!details.backing_format.empty()) text += fmt::format("backing file format: {}\n", details.backing_format);
    }
    if (!details.snapshots.empty()) text += snapshot_list(details.snapshots);
    if (!details.specific.empty()) {
        text += "Format specific information:\n";
        for (const auto& [key, value] : details.specific) {
            std::string shown = key;
            std::replace(shown.begin(), shown.end(), '-', ' ');
            text += fmt::format("    {}: {}\n", shown,
                                std::visit([](const auto& v) { return fmt::format("{}", v); }, value));
        }
    }
    return text;
}

}  // namespace

Result<int> info(Arguments arguments) {
    auto line = options_of("info");
    std::optional<std::string> format, output;
    std::vector<std::string> words;
    WebFlag web;
    bool chain = false, share = false;
    line.value("-f,--format", format, "FORMAT", "The image's format (by its content)");
    line.value("--output", output, "human|json", "How to print it (human)");
    line.flag("--backing-chain", chain, "Also of the images below it");
    line.flag("-U,--force-share", share, "Look although another program is writing the image");
    web.declare(line);
    line.positionals("FILE", words, "The image");
    TRY_SET(const auto answered, parse(line, arguments));
    if (answered) return *answered;
    if (words.size() != 1) return Error{"info: one file is needed"};
    TRY_SET(const Output how, parse_output(output));
    Source source{words[0], format.value_or("")};
    // Without the chain the images below need not be there.
    source.chain = chain ? block::Chain::whole : block::Chain::first_only;
    source.named_urls = web.named();
    source.content = block::Content::unused;
    source.locking = share ? ImageFiles::Locking::unlocked : ImageFiles::Locking::locked;
    TRY_SET(auto image, open(source));
    Json list = Json::array();
    std::string text;
    for (block::Image* layer = image.get(); layer != nullptr; layer = layer->backing()) {
        if (how == Output::human) {
            text += (text.empty() ? "" : "\n") + human_text(*layer);
        } else {
            TRY_SET(auto json, describe(*layer));
            list.push_back(std::move(json));
        }
    }
    if (how == Output::json) text = (chain ? list : list[0]).dump(4, ' ', false, Json::error_handler_t::replace) + "\n";
    print(text);
    return exit_good;
}

Result<int> check(Arguments arguments) {
    constexpr int corrupt = 2, leaks_only = 3, no_check = 63;
    auto line = options_of("check");
    std::optional<std::string> format, output, repair;
    std::vector<std::string> words;
    bool quiet = false, share = false;
    line.value("-f,--format", format, "FORMAT", "The image's format (by its content)");
    line.value("--output", output, "human|json", "How to print it (human)");
    line.value("-r,--repair", repair, "leaks|all", "Mend: clusters that nobody uses, or all that can be mended");
    line.flag("-q,--quiet", quiet, "Say nothing");
    line.flag("-U,--force-share", share, "Look although another program is writing the image");
    line.positionals("FILE", words, "The image");
    TRY_SET(const auto answered, parse(line, arguments));
    if (answered) return *answered;
    if (words.size() != 1) return Error{"check: one file is needed"};
    TRY_SET(const Output how, parse_output(output));
    if (repair && *repair != "leaks" && *repair != "all")
        return Error{fmt::format("-r {}: leaks or all is needed", *repair)};
    Source source{words[0], format.value_or("")};
    source.access = repair ? block::Access::read_write : block::Access::read_only;
    source.chain = block::Chain::first_only;
    source.locking = share && !repair ? ImageFiles::Locking::unlocked : ImageFiles::Locking::locked;
    source.damage = block::OpenOptions::Damage::expected;
    source.content = block::Content::unused;
    TRY_SET(auto image, open(source));
    auto result = image->check(!repair              ? block::Repair::nothing
                               : *repair == "leaks" ? block::Repair::leaks
                                                    : block::Repair::everything);
    if (!result.ok()) {
        if (image->format() != "raw" && image->format() != "luks") return result.error();
        complain(result.error().message);
        return no_check;
    }
    const auto& report = *result;
    if (how == Output::json) {
        Json json;
        json["image-end-offset"] = report.image_end;
        json["total-clusters"] = report.total_clusters;
        json["check-errors"] = 0;
        const auto some = [&](const char* key, u64 count) {
            if (count != 0) json[key] = count;
        };
        some("corruptions", report.corruptions);
        some("leaks", report.leaks);
        some("corruptions-fixed", report.corruptions_fixed);
        some("leaks-fixed", report.leaks_fixed);
        some("allocated-clusters", report.allocated_clusters);
        some("fragmented-clusters", report.fragmented_clusters);
        some("compressed-clusters", report.compressed_clusters);
        json["filename"] = image->name();
        json["format"] = image->format();
        print(json.dump(4, ' ', false, Json::error_handler_t::replace) + "\n");
    } else if (!quiet) {
        std::string text;
        for (const auto& finding : report.findings) text += finding + "\n";
        if (report.corruptions_fixed + report.leaks_fixed != 0)
            text += fmt::format(
                "The following inconsistencies were found and repaired:\n\n    {} leaked clusters\n    {} "
                "corruptions\n\n",
                report.leaks_fixed, report.corruptions_fixed);
        if (report.corruptions != 0)
            text += fmt::format(
                "\n{} errors were found on the image.\nData may be corrupted, or further writes to the image "
                "may corrupt it.\n",
                report.corruptions);
        if (report.leaks != 0)
            text += fmt::format(
                "\n{} leaked clusters were found on the image.\nThis means waste of disk space, but no harm "
                "to data.\n",
                report.leaks);
        if (report.corruptions + report.leaks == 0) text += "No errors were found on the image.\n";
        const auto percent = [](u64 part, u64 whole) {
            return whole == 0 ? 0.0 : static_cast<double>(part) * 100 / static_cast<double>(whole);
        };
        if (report.total_clusters != 0 && report.allocated_clusters != 0)
            text += fmt::format("{}/{} = {:.2f}% allocated, {:.2f}% fragmented, {:.2f}% compressed clusters\n",
                                report.allocated_clusters, report.total_clusters,
                                percent(report.allocated_clusters, report.total_clusters),
                                percent(report.fragmented_clusters, report.allocated_clusters),
                                percent(report.compressed_clusters, report.allocated_clusters));
        if (report.image_end != 0) text += fmt::format("Image end offset: {}\n", report.image_end);
        print(text);
    }
    return report.corruptions != 0 ? corrupt : report.leaks != 0 ? leaks_only : exit_good;
}

Result<int> map(Arguments arguments) {
    auto line = options_of("map");
    std::optional<std::string> format, output;
    std::vector<std::string> words;
    WebFlag web;
    bool share = false;
    line.value("-f,--format", format, "FORMAT", "The image's format (by its content)");
    line.value("--output", output, "human|json", "How to print it (human)");
    line.flag("-U,--force-share", share, "Look although another program is writing the image");
    web.declare(line);
    line.positionals("FILE", words, "The image");
    TRY_SET(const auto answered, parse(line, arguments));
    if (answered) return *answered;
    if (words.size() != 1) return Error{"map: one file is needed"};
    TRY_SET(const Output how, parse_output(output));
    Source source{words[0], format.value_or("")};
    source.content = block::Content::unused;
    source.named_urls = web.named();
    source.locking = share ? ImageFiles::Locking::unlocked : ImageFiles::Locking::locked;
    TRY_SET(auto image, open(source));
    std::string text =
        how == Output::json ? "[" : fmt::format("{:<16}{:<16}{:<16}{}\n", "Offset", "Length", "Mapped to", "File");
    struct Row {
        u64 start = 0;
        block::Found found;
    };
    std::optional<Row> row;
    bool first = true;
    const auto put = [&] {
        const auto& extent = row->found.extent;
        const bool data = extent.kind == block::Extent::Kind::data;
        if (how == Output::json) {
            Json json{{"start", row->start},
                      {"length", extent.length},
                      {"depth", row->found.depth},
                      {"present", extent.kind != block::Extent::Kind::absent},
                      {"zero", !data},
                      {"data", data}};
            if (extent.compressed) json["compressed"] = true;
            if (extent.file_offset) json["offset"] = *extent.file_offset;
            text += (first ? "" : ",\n") + json.dump();
            first = false;
        } else if (data) {
            text += fmt::format("{:<#16x}{:<#16x}{:<16}{}\n", row->start, extent.length,
                                extent.file_offset  ? fmt::format("{:#x}", *extent.file_offset)
                                : extent.compressed ? "compressed"
                                                    : "another file",
                                row->found.layer->name());
        }
        if (text.size() > 64 << 10) {
            print(text);
            text.clear();
        }
    };
    for (u64 at = 0; at < image->size();) {
        TRY_SET(auto found, look_through(*image, at, image->size() - at));
        auto& extent = found.extent;
        const u64 length = extent.length;
        bool joined = false;
        if (row) {
            auto& last = row->found.extent;
            joined = row->found.layer == found.layer && last.kind == extent.kind &&
                     last.compressed == extent.compressed &&
                     last.file_offset.has_value() == extent.file_offset.has_value() &&
                     (!last.file_offset || *last.file_offset + last.length == *extent.file_offset);
            if (joined) last.length += length;
        }
        if (!joined) {
            if (row) put();
            row = Row{at, found};
        }
        at += length;
    }
    if (row) put();
    print(text + (how == Output::json ? "]\n" : ""));
    return exit_good;
}

Result<int> snapshot(Arguments arguments) {
    auto line = options_of("snapshot");
    std::optional<std::string> format, made, applied, deleted;
    std::vector<std::string> words;
    bool list = false, quiet = false, share = false;
    line.value("-f,--format", format, "FORMAT", "The image's format (by its content)");
    line.flag("-l,--list", list, "List them (what is done if nothing else is asked)");
    line.value("-c,--create", made, "NAME", "Make one");
    line.value("-a,--apply", applied, "NAME", "The disk becomes what it was, by name or ID");
    line.value("-d,--delete", deleted, "NAME", "Delete one, by name or ID");
    line.flag("-q,--quiet", quiet, "Say nothing");
    line.flag("-U,--force-share", share, "List although another program is writing the image");
    line.positionals("FILE", words, "The image");
    TRY_SET(const auto answered, parse(line, arguments));
    if (answered) return *answered;
    if (words.size() != 1) return Error{"snapshot: one file is needed"};
    const int asked = list + made.has_value() + applied.has_value() + deleted.has_value();
    if (asked > 1) return Error{"snapshot: one of -l, -c, -a and -d at a time"};
    Source source{words[0], format.value_or("")};
    source.chain = block::Chain::first_only;
    source.content = block::Content::unused;
    if (asked == 0 || list) {
        source.locking = share ? ImageFiles::Locking::unlocked : ImageFiles::Locking::locked;
        TRY_SET(auto image, open(source));
        const auto details = image->details();
        if (!details.snapshots.empty()) print(snapshot_list(details.snapshots));
        return exit_good;
    }
    source.access = block::Access::read_write;
    TRY_SET(auto image, open(source));
    if (made) {
        std::timespec now{};
        std::timespec_get(&now, TIME_UTC);
        TRY(image->create_snapshot(*made, {static_cast<u32>(now.tv_sec), static_cast<u32>(now.tv_nsec), 0}));
    }
    if (applied) TRY(image->apply_snapshot(*applied));
    if (deleted) TRY(image->delete_snapshot(*deleted));
    TRY(image->flush());
    return exit_good;
}

}  // namespace viv::native::img
